use super::{rule, source};
use crate::policy::{PolicySet, STARTER, Source};

fn refusals(text: &str) -> Vec<String> {
    let problems = PolicySet::load(&[source(text)]).expect_err(text);
    problems.0.iter().map(ToString::to_string).collect()
}

/// Proves: PO5
#[test]
fn po5_every_problem_is_found_at_once_with_its_line_and_id() {
    let text = [
        rule("permit", "fine", "", "true"),
        rule("permit", "typo", "", "principal.rolez.contains(\"a\")"),
        rule("permit", "optional", "", "context.requested_ttl < 5"),
        rule("permit", "fine", "", "true"),
        rule("forbid", "ttl", "@max_ttl(\"5m\")", "true"),
        "permit (principal, action, resource);\n".to_owned(),
    ]
    .concat();
    let found = refusals(&text);
    let has = |place: &str, words: &str| found.iter().any(|p| p.starts_with(place) && p.contains(words));
    assert!(has("rules.cedar:4: rule typo", "rolez"), "{found:#?}");
    assert!(has("rules.cedar:6: rule optional", "requested_ttl"), "{found:#?}");
    assert!(has("rules.cedar:7: rule fine", "already used at rules.cedar:1"), "{found:#?}");
    assert!(has("rules.cedar:9: rule ttl", "@max_ttl belongs on a permit"), "{found:#?}");
    assert!(has("rules.cedar:11: ", "@id"), "{found:#?}");
}

#[test]
fn what_could_mean_something_else_is_refused() {
    let any = "(principal, action, resource)";
    let cases = [
        (format!("@id(\"a\") @max_tll(\"5m\") permit {any};"), "not a known annotation"),
        (format!("@id(\"a\") @max_ttl(\"5 minutes\") permit {any};"), "not a duration"),
        (format!("@id(\"a\") @reason(\"x\") permit {any};"), "@reason belongs on a forbid"),
        (format!("@id(\"a\") @long_lived(\"yes\") permit {any};"), "@long_lived"),
        (format!("@id(\"a\") @long_lived(\"allow\") forbid {any};"), "@long_lived belongs on a permit"),
        (format!("@id(\"a b\") permit {any};"), "@id is"),
        (format!("@id(\"broker.revoke\") forbid {any};"), "the broker's own"),
        (format!("@id(\"default-deny\") permit {any};"), "the broker's own"),
        ("@id(\"a\") permit (principal == ?principal, action, resource);".to_owned(), "templates"),
        (format!("@id(\"a\") permit {any}"), "unexpected end"),
        (rule("permit", "a", "", "resource.access == 1"), "rule a"),
        (rule("permit", "a", "", "context.nonsense == 1"), "rule a"),
        ("@id(\"a\") permit (principal, action == Broker::Action::\"isue\", resource);".to_owned(), "rule a"),
        ("@id(\"a\") permit (principal is Person, action, resource);".to_owned(), "rule a"),
    ];
    for (text, words) in cases {
        let found = refusals(&text);
        assert!(found.iter().any(|p| p.contains(words)), "{text}\n{found:#?}");
    }
}

#[test]
fn the_version_changes_with_any_text_and_the_starter_loads() {
    let load = |text: &str| PolicySet::load(&[source(text)]).unwrap();
    let starter = load(STARTER);
    assert!(starter.warnings().is_empty(), "{:?}", starter.warnings());
    assert_eq!(starter.version().len(), 16);
    assert_eq!(starter.version(), load(STARTER).version());
    assert_ne!(starter.version(), load(&format!("{STARTER} ")).version());
    let parts = |a: &str, b: &str| {
        let named = |text: &str| Source { name: "x".to_owned(), text: text.to_owned() };
        PolicySet::load(&[named(a), named(b)]).unwrap().version().to_owned()
    };
    assert_ne!(parts("// a", "// b"), parts("// a// b", ""));
}

#[test]
fn files_that_cannot_be_read_are_problems_not_absences() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, huge, binary) =
        (dir.path().join("missing"), dir.path().join("huge"), dir.path().join("bin"));
    std::fs::write(&huge, vec![b' '; 1024 * 1024 + 1]).unwrap();
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    let problems = PolicySet::load_files(&[missing, huge, binary]).unwrap_err().to_string();
    for words in ["missing: cannot be read", "huge: is larger", "bin: is not UTF-8"] {
        assert!(problems.contains(words), "{problems}");
    }
}
