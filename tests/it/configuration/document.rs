use super::house::{CANARY, check_missing, full, load};

/// Proves: VA7
#[test]
fn va7_what_is_not_one_strict_document_is_refused_without_showing_it() {
    let sound = full().to_string();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let bomb = format!(
        "a: &a [{CANARY},x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
    );
    for (what, text, message) in [
        ("a key twice", format!("public_url: {CANARY}\npublic_url: {CANARY}\n"), "a key is given twice"),
        ("a key twice, deep", format!("log: {{ level: info, level: {CANARY} }}\n"), "a key is given twice"),
        ("two documents", format!("{sound}\n---\n{CANARY}: 1\n"), "a second document"),
        ("a merge key", format!("a: &a {{x: {CANARY}}}\nlog:\n  <<: *a\n"), "merge keys"),
        ("no anchor", format!("log: *{CANARY}\n"), "an alias has no anchor"),
        ("too deep", format!("{}{}", "[".repeat(40), "]".repeat(40)), "is nested too deeply"),
        ("much too deep", deep, ""),
        ("aliases of aliases", bomb, "is nested too deeply"),
        ("half", sound[..sound.len() / 2].to_owned(), ""),
        ("a tag", format!("log: !!python/object:os.system {CANARY}\n"), ""),
        ("tabs", format!("log:\n\tlevel: {CANARY}\n"), ""),
        ("nothing", String::new(), ""),
        ("a list", format!("[{CANARY}]"), ""),
        ("a text", CANARY.to_owned(), ""),
        ("null", "null".to_owned(), ""),
        ("a NUL", format!("public_url: \"{CANARY}\0\""), ""),
        ("huge", format!("# {CANARY} {}\n", "x".repeat(1 << 20)), "is larger than 1 MiB"),
    ] {
        let found = load(&text).expect_err(what);
        let shown = format!("{found} {found:?}");
        assert!(!shown.contains(CANARY), "{what}: {shown}");
        assert!(found.problems.iter().any(|problem| problem.message.contains(message)), "{what}: {shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in [directory.path().join("nothing.yaml"), directory.path().to_owned()] {
        let found = broker::config::Config::load(&path).expect_err("not a file");
        assert!(found.to_string().contains("cannot be read"), "{found}");
    }
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"log: { level: caf\xe9 }").expect("writes");
    assert!(broker::config::Config::load(&path).expect_err("not UTF-8").to_string().contains("is not UTF-8"));
}

#[test]
fn every_required_section_is_named_when_it_is_missing_all_at_once() {
    check_missing(["/listeners", "/public_url", "/storage", "/keys"]);
    let found = load("{}").expect_err("nothing is there");
    let paths: Vec<&str> = found.problems.iter().map(|problem| problem.path.as_str()).collect();
    for section in ["listeners", "public_url", "storage", "keys"] {
        assert!(paths.contains(&section), "{section}: {paths:?}");
    }
}
