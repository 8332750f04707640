//! `broker policy test`: a table of questions with the answers that are wanted.

use super::{
    super::{ConfigFile, EXIT_PROBLEMS, Outcome, output},
    Rules,
    answer::Answer,
    question::Asked,
};
use crate::config::duration;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Largest table, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// The table: YAML or JSON, `cases` with `name`, `ask` and `expect` each (docs/policies.md).
    table: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    ask: Asked,
    expect: Expected,
    /// The rules that decide: exactly these.
    rules: Option<BTreeSet<String>>,
    /// How long a grant of everything allowed may last.
    max_ttl: Option<String>,
}

/// One word for all scopes, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    All(Decision),
    Each(BTreeMap<String, Decision>),
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Deny,
}

impl Decision {
    fn word(allowed: bool) -> &'static str {
        if allowed { "allow" } else { "deny" }
    }
}

pub(super) fn run(test: &Test) -> Outcome {
    let rules = Rules::load(&test.file)?;
    let table = read(&test.table)?;
    let mut failed = 0;
    let mut reports = Vec::new();
    for case in &table.cases {
        let differences = match case.ask.put(&rules) {
            Ok(answer) => case.differences(&answer),
            Err(sentence) => vec![sentence],
        };
        failed += usize::from(!differences.is_empty());
        if test.json {
            reports.push(
                json!({ "name": case.name, "passed": differences.is_empty(), "differences": differences }),
            );
        } else {
            output::line(&format!("{} {}", if differences.is_empty() { "ok  " } else { "FAIL" }, case.name))?;
            for difference in differences {
                output::line(&format!("       {difference}"))?;
            }
        }
    }
    let (all, version) = (table.cases.len(), rules.set.version());
    if test.json {
        let report = json!({ "policy_version": version, "cases": Value::from(reports), "failed": failed });
        output::line(&report.to_string())?;
    } else {
        output::line(&format!("{} of {all} as expected, by version {version} of the rules", all - failed))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) })
}

fn read(path: &Path) -> Result<Table, String> {
    let named = |message: String| format!("{}: {message}", path.display());
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
        .map_err(|error| named(error.to_string()))?;
    if text.len() as u64 > LARGEST {
        return Err(named("is larger than 4 MiB".to_owned()));
    }
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let table: Table =
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| named(error.to_string()))?;
    if table.cases.is_empty() {
        // Nothing tested must not look like everything passed.
        return Err(named("has no cases".to_owned()));
    }
    Ok(table)
}

impl Case {
    fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        for line in &answer.lines {
            let wanted = match &self.expect {
                Expected::All(decision) => Some(*decision == Decision::Allow),
                Expected::Each(each) => each.get(&line.about).map(|decision| *decision == Decision::Allow),
            };
            let is = Decision::word(line.allowed);
            match wanted {
                None => {
                    found.push(format!("{}: expect says nothing about it; the answer is {is}", line.about))
                }
                Some(wanted) if wanted != line.allowed => {
                    let (wanted, rules) = (Decision::word(wanted), line.rules.join(", "));
                    found.push(format!("{}: {wanted} expected, the answer is {is} by {rules}", line.about));
                }
                Some(_) => {}
            }
        }
        if let Expected::Each(each) = &self.expect {
            let asked = |about: &&String| !answer.lines.iter().any(|line| line.about == **about);
            found.extend(
                each.keys().filter(asked).map(|about| format!("{about}: is expected and not asked for")),
            );
        }
        if let Some(rules) = &self.rules {
            let decided = answer.rules();
            if !rules.iter().map(String::as_str).eq(decided.iter().copied()) {
                let list = decided.into_iter().collect::<Vec<_>>().join(", ");
                found.push(format!("other rules expected; the answer is by {list}"));
            }
        }
        if let Some(text) = &self.max_ttl {
            let seconds = answer.max_ttl().map(|ttl| ttl.as_secs());
            match duration::parse(text) {
                None => found.push("max_ttl is no duration such as 15m".to_owned()),
                Some(ttl) if Some(ttl.as_secs()) == seconds => {}
                Some(_) => found.push(format!(
                    "max_ttl: {text} expected, the answer is {}",
                    seconds.map_or("none".to_owned(), |seconds| format!("{seconds}s"))
                )),
            }
        }
        found
    }
}
