//! What the first pages name is there.

use super::sources;

/// Where a name without a directory of its own may lie.
const PLACES: [&str; 3] = ["", "broker/src/", "broker/"];

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

/// The directories and files of `broker/src`, as the list of rooms has them.
fn rooms(page: &str) -> impl Iterator<Item = &str> {
    let table = page.split("| room | what it does |").nth(1).expect("the list of rooms");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn what_the_first_pages_name_is_there() {
    for (page, least) in [("ARCHITECTURE.md", 25), ("README.md", 6)] {
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

#[test]
fn a_path_is_recognised() {
    let page = "See `audit/writer` and `main.rs`, not `a::b` or `broker serve`; [here](docs/x.md#y), [there](https://e.example).";
    assert_eq!(named(page), ["audit/writer", "main.rs", "docs/x.md"]);
    assert!(
        is_there("transport/grpc/gate") && is_there("tests/it/house") && !is_there("audit/no_such_file.rs")
    );
}
