use super::*;
use serde_json::json;

const HASH: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
const OLD: &str = "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e";
const END: &str = "2027-01-02T00:00:00Z";

fn secret() -> NewCredential {
    NewCredential::StaticSecret { sha256: HASH.to_owned(), not_after: None }
}

fn notes() -> NewWorkload {
    let accepts = NewAcceptance {
        issuer: "sso".to_owned(),
        audiences: vec!["https://notes.example.com/mcp".to_owned()],
        ..NewAcceptance::default()
    };
    NewWorkload {
        id: "notes".to_owned(),
        display_name: "Notes: \"tools\" # and more".to_owned(),
        credential: secret(),
        accepts: Some(accepts),
        roles: vec!["reader".to_owned()],
        tenants: Vec::new(),
        providers: vec!["notes".to_owned()],
    }
}

/// Every line of `before` is in `after`, in order.
fn keeps_every_line(before: &str, after: &str) -> bool {
    let mut lines = after.lines();
    before.lines().all(|line| lines.by_ref().any(|other| other == line))
}

fn read(text: &str) -> serde_json::Value {
    document::parse(text).unwrap()
}

#[test]
fn a_workload_is_added_wherever_a_section_is_or_could_be_and_no_line_is_lost() {
    let first =
        "  - id: wiki\n    display_name: Wiki # of all\n    credentials: [{ static_secret_sha256: x }]\n";
    let flat = first.replace("\n  ", "\n").replacen("  - ", "- ", 1);
    let before = [
        "# top\nlog: { level: info } # why\n".to_owned(),
        "log: { level: info }".to_owned(),
        "log: { level: info }\r\n# the end\r\n".to_owned(),
        format!(
            "# top\nworkloads: # ours\n{first}    # a comment of wiki\n\n# what follows\nlog: {{ level: info }}\n"
        ),
        format!("workloads:\n{first}"),
        format!("workloads:\n{flat}# what follows\nlog: {{ level: info }}\n"),
        "workloads:\n  -   id: wiki\n      display_name: |\n        two\n\n        lines\n      credentials: []\nlog: {}\n".to_owned(),
    ];
    for text in before {
        let after = add_workload(&text, &notes()).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert!(keeps_every_line(&text, &after), "{text}\n→\n{after}");
        let mut meant = read(&text);
        let entries = meant.as_object_mut().unwrap().entry("workloads").or_insert(json!([]));
        entries.as_array_mut().unwrap().push(notes().value());
        assert_eq!(read(&after), meant);
        assert_eq!(after.contains("\r\n"), text.contains("\r\n"));
        assert!(matches!(add_workload(&after, &notes()), Err(EditError::Exists)));
    }
    let after = add_workload("workloads: [ ]  # none yet\nlog: {}\n", &notes()).unwrap();
    assert!(
        after.starts_with("workloads:   # none yet\n  - id: notes\n") && after.ends_with("\nlog: {}\n"),
        "{after}"
    );
}

#[test]
fn an_id_that_yaml_reads_as_something_else_is_quoted() {
    for id in ["null", "true", "12", "1e3", "0x1f", ".inf", "1.5", "-"] {
        let workload = NewWorkload { id: id.to_owned(), ..notes() };
        let after = add_workload("log: {}\n", &workload).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(read(&after)["workloads"][0]["id"], id, "{after}");
        let Err(EditError::ByHand(lines)) = add_workload("{ log: {} }\n", &workload) else { panic!("{id}") };
        assert_eq!(read(&lines.replace("workloads:", "w:"))["w"][0]["id"], id, "{lines}");
    }
}

#[test]
fn what_stands_before_the_next_section_stays_with_it() {
    let before = "workloads:\n  - id: wiki\n    credentials: []\n    # of wiki\n\n# 4. Rules\npolicy: {}\n";
    let after = add_workload(before, &notes()).unwrap();
    assert!(
        after.contains("# of wiki\n  - id: notes\n") && after.ends_with("\n\n# 4. Rules\npolicy: {}\n"),
        "{after}"
    );
}

#[test]
fn where_a_program_finds_no_place_a_person_gets_the_lines() {
    for text in [
        "{ log: { level: info } }\n",
        "workloads: [{ id: wiki, credentials: [] }]\n",
        "workloads:\n  -\n    id: wiki\n    credentials: []\n",
        "log: {}\n...\n",
        "workloads: { a: b }\n",
    ] {
        match add_workload(text, &notes()) {
            Err(EditError::ByHand(lines)) => {
                assert!(lines.contains("- id: notes") && lines.contains(HASH), "{lines}")
            }
            Err(EditError::Unreadable(_)) if text.contains("a: b") => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(add_workload("a: b: c", &notes()), Err(EditError::Unreadable(_))));
}

#[test]
fn rotating_adds_a_secret_and_ends_the_others_where_the_file_says_so() {
    let other = "  - id: other\n    credentials:\n      - static_secret_sha256: other\n";
    let forms = [
        format!("      - static_secret_sha256: \"{OLD}\" # the first\n"),
        format!("      - static_secret_sha256: {OLD}\n        not_after: 2028-01-01T00:00:00Z # far\n"),
        format!("      - not_after: \"2028-01-01T00:00:00Z\"\n        static_secret_sha256: '{OLD}'\n"),
        format!("      - {{ static_secret_sha256: \"{OLD}\" }}\n"),
        format!(
            "      - jwt: {{ issuer: k, audience: a, subject: s }}\n      - static_secret_sha256: {OLD}\n"
        ),
        format!(
            "      - static_secret_sha256: {OLD}\n      - jwt:\n          issuer: k\n          audience: a\n          subject: s\n"
        ),
    ];
    let flow = format!("    credentials: [{{ static_secret_sha256: {OLD} }}] # short\n");
    let blocks = forms.map(|form| format!("    credentials: # of wiki\n{form}"));
    for credentials in blocks.into_iter().chain([flow]) {
        let text =
            format!("workloads:\n{other}  - id: wiki\n{credentials}    roles: [a] # why\n# end\nlog: {{}}\n");
        let after =
            rotate_secret(&text, "wiki", &secret(), END).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let (was, is) = (read(&text), read(&after));
        assert_eq!(is["workloads"][0], was["workloads"][0]);
        let (was, is) = (&was["workloads"][1]["credentials"], &is["workloads"][1]["credentials"]);
        assert_eq!(is.as_array().unwrap().len(), was.as_array().unwrap().len() + 1, "{after}");
        assert_eq!(is.as_array().unwrap().last().unwrap(), &secret().value());
        let old = is.as_array().unwrap().iter().find(|one| one["static_secret_sha256"] == OLD).unwrap();
        assert_eq!(old["not_after"], END, "{after}");
        let comments = |text: &str| {
            text.lines().filter_map(|line| Some(line.split_once('#')?.1.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(comments(&after), comments(&text), "{after}");
    }
}

#[test]
fn an_earlier_end_stays_and_what_cannot_be_rotated_is_told_apart() {
    let text = format!(
        "workloads:\n  - id: wiki\n    credentials:\n      - static_secret_sha256: {OLD}\n        not_after: 2026-12-01T00:00:00Z\n"
    );
    let after = rotate_secret(&text, "wiki", &secret(), END).unwrap();
    assert_eq!(read(&after)["workloads"][0]["credentials"][0]["not_after"], "2026-12-01T00:00:00Z");
    assert!(matches!(rotate_secret(&text, "none", &secret(), END), Err(EditError::Unknown)));
    assert!(matches!(rotate_secret("log: {}\n", "wiki", &secret(), END), Err(EditError::Unknown)));
    let jwt =
        "workloads:\n  - id: wiki\n    credentials:\n      - jwt: { issuer: k, audience: a, subject: s }\n";
    assert!(matches!(rotate_secret(jwt, "wiki", &secret(), END), Err(EditError::NoSecret)));
    let alias = format!(
        "x: &c\n  - static_secret_sha256: {OLD}\nworkloads:\n  - id: wiki\n    credentials: *c\n  - id: b\n    credentials: *c\n"
    );
    assert!(matches!(rotate_secret(&alias, "wiki", &secret(), END), Err(EditError::ByHand(_))));
}
