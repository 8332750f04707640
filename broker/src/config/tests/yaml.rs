use super::{CANARY, load_text};
use crate::config::Config;

fn refusal(text: &str) -> String {
    let problems = load_text(text).expect_err("must be refused");
    let said = format!("{problems} {problems:?}");
    assert!(!said.contains(CANARY), "{said}");
    problems.to_string()
}

/// Proves: VA7
#[test]
fn va7_an_unknown_or_repeated_key_is_refused_wherever_it_stands() {
    assert!(refusal(&format!("lissteners: {CANARY}")).contains("lissteners: is not a known key"));
    assert!(refusal(&format!("log: {{ levle: {CANARY} }}")).contains("log.levle: is not a known key"));
    let twice =
        refusal(&format!("log: {{ level: info }}\nkeys: {{ file: {CANARY} }}\nlog: {{ level: warn }}\n"));
    assert!(twice.starts_with("line 3, column 1: a key is given twice"), "{twice}");
    assert!(refusal(&format!("\"{CANARY} x\": 1")).contains("(some key): is not a known key"));
}

#[test]
fn what_is_not_one_yaml_mapping_is_refused_with_its_place() {
    let cases = [
        (format!("log:\n  level: \"{CANARY}"), "line "),
        (format!("log: [{CANARY}"), "line "),
        (format!("log: *{CANARY}"), "line 1"),
        (format!("a: 1\n--- \nb: {CANARY}"), "second document"),
        (format!("log: !!python/object {CANARY}"), "line 1"),
        (format!("log:\n\tlevel: {CANARY}"), "line 2"),
        (CANARY.to_owned(), "is not a mapping"),
        (format!("- {CANARY}"), "is not a mapping"),
        (String::new(), "is not a mapping"),
        (format!("base: &b {{ x: {CANARY} }}\nlog: {{ <<: *b }}"), "merge keys"),
    ];
    for (text, words) in cases {
        let said = refusal(&text);
        assert!(said.contains(words), "{text}\n{said}");
    }
}

#[test]
fn bombs_are_refused_before_they_grow() {
    let mut aliases = format!("a0: &a0 [{CANARY}]\n");
    for n in 1..30 {
        let before = format!("*a{}", n - 1);
        aliases += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(", "));
    }
    assert!(refusal(&aliases).contains("too many aliases"));
    let nested = |depth: usize| refusal(&format!("a: {}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(nested(100).contains("too deeply"));
    assert!(nested(100_000).starts_with("line 1"));
    let huge = format!("# {}\n", "x".repeat(1024 * 1024));
    assert!(refusal(&huge).contains("larger than 1 MiB"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("huge.yaml");
    std::fs::write(&file, huge).unwrap();
    assert!(Config::load(&file).unwrap_err().to_string().contains("larger than 1 MiB"));
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert!(Config::load(&file).unwrap_err().to_string().contains("is not UTF-8"));
    assert!(Config::load(&dir.path().join("none")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn words_are_not_booleans_and_nothing_is_not_something() {
    let listener = |rest: &str| format!("listeners: {{ grpc: {{ address: \"127.0.0.1:1\", {rest} }} }}");
    for word in ["no", "yes", "on", "off", "\"true\"", "1"] {
        let said = refusal(&listener(&format!("terminated_by_mesh: {word}")));
        assert!(said.contains("listeners.grpc.terminated_by_mesh: is not true or false"), "{word}: {said}");
    }
    assert!(refusal(&listener("tls:")).contains("listeners.grpc.tls: is not a mapping"));
    assert!(refusal("consent: { lifetime: }").contains("consent.lifetime: is not text"));
    assert!(refusal("log:").contains("log: is not a mapping"));
}
