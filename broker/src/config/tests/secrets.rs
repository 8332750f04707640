use super::{CANARY, load, parse_in, problems};
use serde_json::json;

const SECRET: &str = "/providers/0/client/secret";

/// Proves: VA7
#[test]
fn va7_a_secret_written_out_is_refused_with_the_fix() {
    for text in [CANARY.to_owned(), format!("${{{CANARY}}}"), format!("x${{env:{CANARY}}}"), String::new()] {
        let found = problems(SECRET, Some(json!(text)));
        assert!(
            found.len() == 1 && found[0].starts_with("providers[0].client.secret: is a secret written out"),
            "{found:?}"
        );
        assert!(found[0].contains("${file:/path/to/it}") && found[0].contains("${env:NAME}"), "{found:?}");
    }
    let login = problems("/issuers/0/login/client_secret", Some(json!(CANARY)));
    assert!(login[0].starts_with("issuers[0].login.client_secret: is a secret written out"), "{login:?}");
}

#[test]
fn a_reference_to_nothing_is_a_problem_not_an_empty_secret() {
    let at = |text: &str| problems(SECRET, Some(json!(text))).join("\n");
    assert!(at("${file:missing}").contains("cannot be read"));
    assert!(at("${env:NOT_SET}").contains("not set"));
    let dir = tempfile::tempdir().unwrap();
    let mut document = super::full();
    let mut said = |content: &[u8]| {
        std::fs::write(dir.path().join("s"), content).unwrap();
        document["providers"][0]["client"]["secret"] = json!("${file:s}");
        let problems = parse_in(&document.to_string(), dir.path()).unwrap_err().to_string();
        assert!(!problems.contains(CANARY), "{problems}");
        problems
    };
    assert!(said(b"\n").contains("empty file"));
    assert!(said(format!("{CANARY}\n{CANARY}").as_bytes()).contains("more than one line"));
    assert!(said(&[0xff]).contains("not UTF-8"));
    assert!(said(&vec![b'a'; 65 * 1024]).contains("larger than 64 KiB"));
}

#[test]
fn no_secret_is_in_the_debug_form() {
    let config = load(&super::full()).unwrap();
    let printed = format!("{config:?}");
    for secret in ["from-file", "from-variable", &"1f".repeat(32), "[31, 31"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
