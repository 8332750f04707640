//! Another workload at the end of `workloads`.

use super::{
    EditError,
    entry::NewWorkload,
    first_that_reads_as,
    lines::Lines,
    places::{self, Workloads},
};
use crate::config::document;
use serde_json::{Value, json};

/// `text` with `workload` as the last entry of `workloads`, every other line as it was.
///
/// # Errors
/// [`EditError`]: also when there is no place for it that a program could find.
pub fn add_workload(text: &str, workload: &NewWorkload) -> Result<String, EditError> {
    let mut meant = document::parse(text)?;
    let section = meant.as_object_mut().map(|sections| sections.entry("workloads").or_insert(json!([])));
    let entries = section.and_then(Value::as_array_mut);
    let by_hand = format!("workloads:\n{}", indented(&workload.lines()));
    let Some(entries) = entries else { return Err(EditError::ByHand(by_hand)) };
    if entries.iter().any(|entry| entry["id"] == workload.id.as_str()) {
        return Err(EditError::Exists);
    }
    entries.push(workload.value());
    let lines = Lines::of(text);
    let candidate = match places::workloads(text)? {
        None => Some(at_the_end(&lines, workload)),
        Some(found) if found.entries.is_empty() => instead_of_nothing(&lines, &found, workload),
        Some(found) => after_the_last(&lines, &found, workload),
    };
    first_that_reads_as(&meant, candidate, &by_hand)
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn at_the_end(lines: &Lines<'_>, workload: &NewWorkload) -> String {
    let mut section = vec![String::new(), "workloads:".to_owned()];
    section.extend(workload.lines().iter().map(|line| format!("  {line}")));
    lines.with_lines(lines.count(), 0, &section)
}

/// `workloads: []` becomes `workloads:` and the entry.
fn instead_of_nothing(lines: &Lines<'_>, found: &Workloads, workload: &NewWorkload) -> Option<String> {
    let rest: String = lines.line(found.at.line)?.chars().skip(found.at.column).collect();
    let length = rest.starts_with('[').then(|| rest.find(']'))?? + 1;
    let emptied = lines.replaced(found.at, length, "")?;
    Some(Lines::of(&emptied).with_lines(found.at.line + 1, 2, &workload.lines()))
}

fn after_the_last(lines: &Lines<'_>, found: &Workloads, workload: &NewWorkload) -> Option<String> {
    let last = found.entries.last()?.at;
    let dash = lines.dash(last)?;
    Some(lines.with_lines(lines.end_of_entry(last.line, dash), dash, &workload.lines()))
}
