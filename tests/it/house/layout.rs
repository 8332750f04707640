//! Size, names, state and dependencies.

use super::sources::{self, Source};

const LONGEST_FILE: usize = 400; // lines
const NAMES_THAT_SAY_NOTHING: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];
const CRATES: &[&str] = &["proto", "broker", "broker-client", "examples", "tests", "bench"];

fn all() -> Vec<Source> {
    CRATES.iter().flat_map(|directory| sources::rust(directory)).collect()
}

fn nothing(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_of_the_broker_is_too_long() {
    let files = sources::rust("broker/src").into_iter().filter(|source| !source.is_test());
    let lines = files.map(|source| (source.text.lines().count(), source.path));
    let long = lines.filter(|(lines, _)| *lines > LONGEST_FILE);
    nothing(long.map(|(lines, path)| format!("{path}: {lines} lines, at most {LONGEST_FILE}")).collect());
}

#[test]
fn every_file_name_says_something() {
    let vague = |source: &Source| {
        source.path.trim_end_matches(".rs").split('/').any(|part| NAMES_THAT_SAY_NOTHING.contains(&part))
    };
    nothing(all().into_iter().filter(vague).map(|source| source.path).collect());
}

#[test]
fn only_main_may_hold_a_static() {
    let sources = sources::rust("broker/src").into_iter().chain(sources::rust("broker-client/src"));
    let state = sources.filter(|s| !s.is_test() && !s.path.ends_with("/main.rs")).flat_map(|source| {
        let found: Vec<_> = source.code().filter(|(_, line)| is_static(line)).map(|(n, _)| n).collect();
        found.into_iter().map(move |line| format!("{}:{line}: a static", source.path))
    });
    nothing(state.collect());
}

fn is_static(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let item = match words.as_slice() {
        [first, rest @ ..] if first.starts_with("pub") => rest,
        all => all,
    };
    item.first() == Some(&"static") || line.contains("thread_local!")
}

#[test]
fn a_static_is_recognised() {
    assert!(is_static("static COUNT: AtomicU64 = AtomicU64::new(0);"));
    assert!(is_static("    pub(crate) static mut X: u8 = 0;"));
    assert!(is_static("thread_local! {"));
    assert!(!is_static("const NAME: &'static str = \"\";"));
    assert!(!is_static("fn name(&self) -> &'static str {"));
}

#[test]
fn no_test_is_switched_off() {
    let pattern = concat!("#[ig", "nore");
    nothing(
        all().into_iter().filter(|source| source.text.contains(pattern)).map(|source| source.path).collect(),
    );
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let manifest = sources::read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the dependency list");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let outside =
        lines.filter(|line| line.contains(" = ") && !line.starts_with('#') && !line.contains("{ path = "));
    let outside: Vec<&str> = outside.collect();
    assert!(outside.len() > 20, "the dependency list was not understood");
    let bare = outside
        .into_iter()
        .filter(|line| line.rsplit_once(" # ").is_none_or(|(_, why)| why.trim().len() < 3));
    nothing(bare.map(|line| format!("Cargo.toml: no reason: {line}")).collect());
}
