//! Another static secret for a workload, and an end for those it has.

use super::{
    EditError,
    entry::NewCredential,
    first_that_reads_as,
    lines::Lines,
    places::{self, CredentialPlace, Entry},
};
use crate::{config::document, domain::Timestamp};
use serde_json::{Value, json};

/// `text` with `new` as a further credential of the workload `id`; its other static secrets end at `old_ends`, RFC 3339 in UTC,
/// unless they end before.
///
/// # Errors
/// [`EditError`]: also when there is no place for it that a program could find.
pub fn rotate_secret(text: &str, id: &str, new: &NewCredential, old_ends: &str) -> Result<String, EditError> {
    let mut meant = document::parse(text)?;
    let entries = meant.get_mut("workloads").and_then(Value::as_array_mut).ok_or(EditError::Unknown)?;
    let at = entries.iter().position(|entry| entry["id"] == id).ok_or(EditError::Unknown)?;
    let credentials = entries[at]["credentials"].as_array_mut().ok_or(EditError::Unknown)?;
    let ending: Vec<bool> = credentials.iter().map(|one| is_to_end(one, old_ends)).collect();
    if !credentials.iter().any(|one| one.get("static_secret_sha256").is_some()) {
        return Err(EditError::NoSecret);
    }
    for (credential, _) in credentials.iter_mut().zip(&ending).filter(|(_, ending)| **ending) {
        credential["not_after"] = json!(old_ends);
    }
    credentials.push(new.value());
    let by_hand = format!(
        "the credential:\n  - {}\nand `not_after: \"{old_ends}\"` beside the earlier ones of {id}",
        new.lines().join("\n    ")
    );
    let entry = places::workloads(text)?.and_then(|mut found| {
        if at < found.entries.len() { Some(found.entries.swap_remove(at)) } else { None }
    });
    let candidate = entry.and_then(|entry| edited(text, &entry, &ending, new, old_ends));
    first_that_reads_as(&meant, candidate, &by_hand)
}

/// Whether this one is a static secret that would outlive the overlap.
fn is_to_end(credential: &Value, old_ends: &str) -> bool {
    let end = credential.get("not_after").and_then(Value::as_str).and_then(Timestamp::parse_rfc3339);
    credential.get("static_secret_sha256").is_some()
        && end.is_none_or(|end| Timestamp::parse_rfc3339(old_ends).is_none_or(|old| old < end))
}

/// From the last place to the first, so that places before stay true.
fn edited(text: &str, entry: &Entry, ending: &[bool], new: &NewCredential, end: &str) -> Option<String> {
    let mut text = with_another(text, entry.credentials.last()?, new)?;
    for (credential, _) in entry.credentials.iter().zip(ending).rev().filter(|(_, ending)| **ending) {
        text = with_end(&text, credential, end)?;
    }
    Some(text)
}

fn with_another(text: &str, last: &CredentialPlace, new: &NewCredential) -> Option<String> {
    let lines = Lines::of(text);
    if let Some(dash) = lines.dash(last.at) {
        let dashed = |(n, line): (usize, String)| format!("{}{line}", if n == 0 { "- " } else { "  " });
        let new: Vec<String> = new.lines().into_iter().enumerate().map(dashed).collect();
        return Some(lines.with_lines(lines.end_of_entry(last.at.line, dash), dash, &new));
    }
    // [{ static_secret_sha256: "…" }]: in front of the last one, whose own end is not known, would change their order.
    let rest: String = lines.line(last.at.line)?.chars().skip(last.at.column).collect();
    let closing = rest.starts_with('{').then(|| rest.chars().position(|c| c == '}'))??;
    let after = super::places::Place { line: last.at.line, column: last.at.column + closing + 1 };
    lines.with(after, &format!(", {}", new.value()))
}

fn with_end(text: &str, credential: &CredentialPlace, end: &str) -> Option<String> {
    let lines = Lines::of(text);
    if let Some(place) = credential.not_after {
        let length = lines.after_scalar(place)?.column - place.column;
        return lines.replaced(place, length, &json!(end).to_string());
    }
    let hash = credential.hash?;
    let after = lines.after_scalar(hash)?;
    let in_braces = lines.line(credential.at.line)?.chars().nth(credential.at.column) == Some('{');
    match lines.dash(credential.at) {
        // A block entry: a line of its own below the hash, as deep as its keys.
        Some(_) if !in_braces => {
            let end = format!("not_after: {}", json!(end));
            Some(lines.with_lines(hash.line + 1, credential.at.column, &[end]))
        }
        _ => lines.with(after, &format!(", not_after: {}", json!(end))),
    }
}
