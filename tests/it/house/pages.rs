//! What the first pages name is there.

use super::sources;

/// Where a name without a directory of its own may lie.
const PLACES: [&str; 4] = ["", "broker/src/", "broker/", "docs/"];

/// Pages, and how many names they hold at least: fewer, and they were not understood.
const PAGES: [(&str, usize); 8] = [
    ("ARCHITECTURE.md", 25),
    ("README.md", 6),
    ("SECURITY.md", 0),
    ("docs/quick-start.md", 4),
    ("docs/operating.md", 8),
    ("docs/keys.md", 0),
    ("docs/policies.md", 1),
    ("docs/providers.md", 2),
];

/// What a page names: `code` that looks like a path, and links that stay here.
fn named(page: &str) -> Vec<String> {
    let mut names: Vec<String> = page
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter_map(|code| code.split_whitespace().next())
        .filter(|word| is_path(word))
        .map(str::to_owned)
        .collect();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    names.extend(
        links
            .map(|(link, _)| link)
            .filter(|link| !link.contains("://") && !link.starts_with('#'))
            .map(|link| link.split('#').next().unwrap_or(link).to_owned()),
    );
    names
}

fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ending =
        word.rsplit_once('.').is_some_and(|(_, end)| ["rs", "md", "toml", "sql", "proto"].contains(&end));
    word.chars().all(plain) && !word.starts_with('/') && (word.contains('/') || ending)
}

fn is_there(name: &str) -> bool {
    let root = sources::root();
    PLACES.iter().any(|place| {
        let path = root.join(format!("{place}{name}"));
        path.exists() || (path.extension().is_none() && path.with_extension("rs").exists())
    })
}

/// The tests a page names: `path.rs::function`.
fn tests(page: &str) -> Vec<(&str, &str)> {
    let codes = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    codes.filter_map(|code| code.split_once(".rs::").map(|_| code.split_once("::"))).flatten().collect()
}

/// Whether `function` is a test in the text of a file.
fn has_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let named =
            ["fn ", "async fn "].iter().any(|before| line.starts_with(&format!("{before}{function}(")));
        let above =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        named && above.clone().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
    })
}

/// The directories and files of `broker/src`, as the list of rooms has them.
fn rooms(page: &str) -> impl Iterator<Item = &str> {
    let table = page.split("| room | what it does |").nth(1).expect("the list of rooms");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn what_the_first_pages_name_is_there() {
    for (page, least) in PAGES {
        let names = named(&sources::read(page));
        assert!(names.len() >= least, "{page} was not understood: {names:?}");
        let lost: Vec<_> = names.iter().filter(|name| !is_there(name)).collect();
        assert!(lost.is_empty(), "{page} names what is not there: {lost:?}");
    }
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let page = sources::read("ARCHITECTURE.md");
    let listed: std::collections::BTreeSet<String> = rooms(&page).map(str::to_owned).collect();
    let built = std::fs::read_dir(sources::root().join("broker/src")).expect("the rooms").map(|entry| {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        name.trim_end_matches(".rs").to_owned()
    });
    let built: std::collections::BTreeSet<String> =
        built.filter(|name| !["lib", "main"].contains(&name.as_str())).collect();
    assert_eq!(listed, built);
}

/// Every "cannot" of the threat model has a test, and it is there.
#[test]
fn every_test_that_the_security_page_names_is_there() {
    let page = sources::read("SECURITY.md");
    let named = tests(&page);
    assert!(named.len() > 60, "SECURITY.md was not understood: {named:?}");
    let is_there = |(path, function): &&(&str, &str)| {
        std::fs::read_to_string(sources::root().join(path)).is_ok_and(|text| has_test(&text, function))
    };
    let lost: Vec<_> = named.iter().filter(|test| !is_there(test)).collect();
    assert!(lost.is_empty(), "SECURITY.md names tests that are not there: {lost:?}");
    let rows = page
        .split(" cannot | shown by |\n|---|---|\n")
        .skip(1)
        .flat_map(|table| table.lines().take_while(|l| !l.is_empty()));
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 40, "{rows:?}");
    let bare: Vec<_> = rows.iter().filter(|row| tests(row).is_empty()).collect();
    assert!(bare.is_empty(), "no test shows: {bare:?}");
}

#[test]
fn a_named_test_is_recognised() {
    let page = "as `tests/it/a.rs::b_c` and `d::e` show, `broker/src/f.rs::g`";
    assert_eq!(tests(page), [("tests/it/a.rs", "b_c"), ("broker/src/f.rs", "g")]);
    let text = "/// Proves: X1\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn shown() {}\n\nfn other() {}\n#[test]\nfn last() {}";
    assert!(
        has_test(text, "shown")
            && has_test(text, "last")
            && !has_test(text, "other")
            && !has_test(text, "show")
    );
}

#[test]
fn a_path_is_recognised() {
    let page = "See `audit/writer` and `main.rs`, not `a::b` or `broker serve`; [here](docs/x.md#y), [there](https://e.example).";
    assert_eq!(named(page), ["audit/writer", "main.rs", "docs/x.md"]);
    assert!(
        is_there("transport/grpc/gate") && is_there("tests/it/house") && !is_there("audit/no_such_file.rs")
    );
}
