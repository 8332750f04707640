//! `docs/requirements.md` and the tests' `/// Proves: …` lines say the same.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{self, Source};

/// Which tests prove a requirement: id to `file::function`.
type Proofs = BTreeMap<String, BTreeSet<String>>;

/// The proofs that one file claims. A claim with no function right below it is a fault.
fn claims(source: &Source, proofs: &mut Proofs, faults: &mut Vec<String>) {
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(ids) = line.strip_prefix("/// Proves:") else { continue };
        let place = format!("{}:{}", source.path, at + 1);
        let item = lines[at + 1..].iter().find(|line| !line.starts_with("///") && !line.starts_with("#["));
        let Some(test) = item.and_then(|line| function(line)) else {
            faults.push(format!("{place}: no function below this claim"));
            continue;
        };
        for id in ids.split(',').map(str::trim) {
            if is_id(id) {
                proofs.entry(id.to_owned()).or_default().insert(format!("{}::{test}", source.path));
            } else {
                faults.push(format!("{place}: {id:?} is no requirement's id"));
            }
        }
    }
}

fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// Two capital letters and a number.
fn is_id(text: &str) -> bool {
    let (letters, number) = text.split_at_checked(2).unwrap_or(("", ""));
    letters.len() == 2 && letters.bytes().all(|b| b.is_ascii_uppercase()) && number.parse::<u16>().is_ok()
}

/// The rows of the table: `| ID5 | sentence | `file::function`<br>`file::function` |`.
fn rows(table: &str, faults: &mut Vec<String>) -> Proofs {
    let mut proofs = Proofs::new();
    for line in table.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, sentence, tests] = cells[..] else {
            faults.push(format!("not three cells: {line}"));
            continue;
        };
        if id == "Id" || id.starts_with("---") {
            continue;
        }
        if !is_id(id) || sentence.is_empty() || sentence == "…" {
            faults.push(format!("a row needs an id and a sentence: {line}"));
        }
        let tests = tests.split("<br>").map(|test| test.trim().trim_matches('`').to_owned());
        if proofs.insert(id.to_owned(), tests.collect()).is_some() {
            faults.push(format!("{id} has two rows"));
        }
    }
    proofs
}

/// What the table lacks and what it has too much, against the claims of the tests.
fn differences(table: &Proofs, claimed: &Proofs) -> Vec<String> {
    let mut found = Vec::new();
    for (id, tests) in claimed {
        match table.get(id) {
            None => found.push(format!("no row yet; ready to paste:\n| {id} | … | {} |", cell(tests))),
            Some(listed) if listed != tests => {
                found.push(format!("the proofs of {id} changed; its last cell is now:\n{}", cell(tests)));
            }
            Some(_) => {}
        }
    }
    found.extend(
        table.keys().filter(|id| !claimed.contains_key(*id)).map(|id| format!("no test proves {id}")),
    );
    found
}

fn cell(tests: &BTreeSet<String>) -> String {
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
}

/// The table with the proofs as they are now; sentences stay, and a new row gets `…` for one, which the test refuses.
fn renewed(table: &str, claimed: &Proofs) -> String {
    let is_row = |line: &&str| is_id(line.trim_start_matches("| ").split(' ').next().unwrap_or_default());
    let mut sentences: BTreeMap<&str, &str> = BTreeMap::new();
    for line in table.lines().filter(is_row) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        sentences.insert(cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
    }
    let mut lines: Vec<String> = table.lines().filter(|line| !is_row(line)).map(str::to_owned).collect();
    let head = lines.iter().position(|line| line.starts_with("|---")).map_or(lines.len(), |at| at + 1);
    let row = |(id, tests): (&String, _)| {
        let sentence = sentences.get(id.as_str()).copied().unwrap_or("…");
        format!("| {id} | {sentence} | {} |", cell(tests))
    };
    let mut claimed: Vec<_> = claimed.iter().collect();
    claimed.sort_by_key(|(id, _)| (id[..2].to_owned(), id[2..].parse::<u16>().unwrap_or_default()));
    lines.splice(head..head, claimed.into_iter().map(row));
    lines.join("\n") + "\n"
}

#[test]
fn the_table_names_every_proof_and_every_proof_is_in_the_table() {
    let (mut claimed, mut faults) = (Proofs::new(), Vec::new());
    for directory in ["broker", "broker-client", "examples", "tests"] {
        for source in
            sources::rust(directory).iter().filter(|s| !s.path.ends_with("it/house/requirements.rs"))
        {
            claims(source, &mut claimed, &mut faults);
        }
    }
    let mut text = sources::read("docs/requirements.md");
    if std::env::var_os("UPDATE_REQUIREMENTS").is_some() {
        text = renewed(&text, &claimed);
        std::fs::write(sources::root().join("docs/requirements.md"), &text)
            .expect("the table can be written");
    }
    let table = rows(&text, &mut faults);
    faults.extend(differences(&table, &claimed));
    assert!(
        faults.is_empty(),
        "docs/requirements.md and the tests differ; run this test with UPDATE_REQUIREMENTS=1:\n{}",
        faults.join("\n")
    );
}

#[test]
fn claims_and_rows_that_differ_are_found() {
    let text = "/// Proves: ID5, GR12\n#[tokio::test]\nasync fn bounded() {}\n\n/// Proves: ID5\n#[test]\nfn other() {}\n";
    let (mut claimed, mut faults) = (Proofs::new(), Vec::new());
    claims(&Source { path: "tests/it/a.rs".into(), text: text.into() }, &mut claimed, &mut faults);
    let full = "| Id | x | y |\n|---|---|---|\n| ID5 | bounds | `tests/it/a.rs::bounded`<br>`tests/it/a.rs::other` |\n";
    let complete = format!("{full}| GR12 | lists | `tests/it/a.rs::bounded` |\n");
    assert!(differences(&rows(&complete, &mut faults), &claimed).is_empty());
    assert_eq!(faults, Vec::<String>::new());

    let missing = differences(&rows(full, &mut faults), &claimed);
    assert_eq!(missing, ["no row yet; ready to paste:\n| GR12 | … | `tests/it/a.rs::bounded` |"]);
    let stale = rows(&complete.replace("bounded` |", "gone` |"), &mut faults);
    assert!(differences(&stale, &claimed)[0].starts_with("the proofs of GR12 changed"));
    let unproved = rows(&format!("{complete}| AU1 | writes | `x::y` |\n"), &mut faults);
    assert_eq!(differences(&unproved, &claimed), ["no test proves AU1"]);

    let again = renewed(&complete.replace("bounded` |", "gone` |"), &claimed);
    assert_eq!(again.lines().count(), complete.lines().count());
    assert!(differences(&rows(&again, &mut faults), &claimed).is_empty());
    assert_eq!(faults, Vec::<String>::new());

    let odd = "/// Proves: five\n#[test]\nfn f() {}\n/// Proves: ID1\nconst X: u8 = 0;\n";
    claims(&Source { path: "tests/it/b.rs".into(), text: odd.into() }, &mut claimed, &mut faults);
    assert_eq!(faults.len(), 2);
}
