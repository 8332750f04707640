//! The shapes, byte for byte as the revisions of the protocol have them.

use super::{consent, opens_links, reads_text};
use crate::mcp::{Answer, Peer, Prompt, consents_of, elicitation_complete};
use crate::{BatchConsentRequired, BatchRequest, ConsentUrl, Error, GrantRequest};
use serde_json::{Value, json};

fn result(answer: &Answer) -> &Value {
    match answer {
        Answer::Result(result) => result,
        Answer::Error(error) => panic!("an error: {error:?}"),
    }
}

/// Proves: CL3
#[test]
fn cl3_2026_07_28_asks_by_a_result_that_is_retried() {
    let prompt = Prompt::new("notes", &consent("cns_1")).and("mail", &consent("cns_2"));
    let answer = prompt.answer(opens_links("2026-07-28"), "sealed");
    let expected = json!({
        "jsonrpc": "2.0",
        "id": 7,
        "result": {
            "resultType": "input_required",
            "inputRequests": {
                "notes": {
                    "method": "elicitation/create",
                    "params": {
                        "mode": "url",
                        "url": "https://broker.example/consent/cns_1-canary",
                        "message": "Please connect Notes.",
                    },
                },
                "mail": {
                    "method": "elicitation/create",
                    "params": {
                        "mode": "url",
                        "url": "https://broker.example/consent/cns_2-canary",
                        "message": "Please connect Notes.",
                    },
                },
            },
            "requestState": "sealed",
        },
    });
    assert_eq!(answer.to_response(&json!(7)), expected);
}

/// Proves: CL3
#[test]
fn cl3_2025_11_25_asks_by_error_32042_and_tells_the_end() {
    let answer = Prompt::new("notes", &consent("cns_1")).answer(opens_links("2025-11-25"), "unused");
    let expected = json!({
        "jsonrpc": "2.0",
        "id": "a",
        "error": {
            "code": -32042,
            "message": "The user has to open a link first.",
            "data": {
                "elicitations": [{
                    "mode": "url",
                    "elicitationId": "cns_1",
                    "url": "https://broker.example/consent/cns_1-canary",
                    "message": "Please connect Notes.",
                }],
            },
        },
    });
    assert_eq!(answer.to_response(&json!("a")), expected);
    let Answer::Error(error) = answer else { panic!("an error") };
    assert_eq!(error.elicitation_ids(), ["cns_1"]);
    let expected = json!({
        "jsonrpc": "2.0",
        "method": "notifications/elicitation/complete",
        "params": { "elicitationId": "cns_1" },
    });
    assert_eq!(elicitation_complete("cns_1"), expected);
}

/// Proves: CL3
#[test]
fn cl3_clients_that_open_no_links_read_a_text() {
    let prompt = Prompt::new("notes", &consent("cns_1"));
    let text =
        "Please connect Notes. Open this link, then ask again: https://broker.example/consent/cns_1-canary";
    let mut expected = json!({
        "content": [{ "type": "text", "text": text }],
        "isError": true,
        "_meta": { "broker.v1/reason": "CONSENT_REASON_NOT_CONNECTED" },
    });
    for version in ["2025-11-25", "2025-06-18", "2024-11-05"] {
        assert_eq!(result(&prompt.answer(reads_text(version), "unused")), &expected, "{version}");
    }
    // Older revisions know no links, whatever a client declares.
    assert_eq!(result(&prompt.answer(opens_links("2025-06-18"), "unused")), &expected);
    expected["resultType"] = json!("complete");
    assert_eq!(result(&prompt.answer(reads_text("2026-07-28"), "unused")), &expected);
}

/// Proves: CL3
#[test]
fn cl3_what_a_client_understands_is_read_from_its_version_and_capabilities() {
    let prompt = Prompt::new("notes", &consent("cns_1"));
    let shape = |version: Option<&str>, capabilities: Value| match prompt
        .answer(Peer::new(version, Some(&capabilities)), "s")
    {
        Answer::Error(_) => "error",
        Answer::Result(result) if result["resultType"] == "input_required" => "round trip",
        Answer::Result(_) => "text",
    };
    let url = || json!({ "elicitation": { "url": {} } });
    assert_eq!(shape(Some("2026-07-28"), url()), "round trip");
    assert_eq!(shape(Some("2027-01-15"), url()), "round trip");
    assert_eq!(shape(Some("2025-11-25"), url()), "error");
    assert_eq!(shape(Some("2026-03-01"), url()), "error");
    for version in
        [None, Some(""), Some("2025-06-18"), Some("DRAFT-2026"), Some("9999-99-9x"), Some("zzzz-zz-zz")]
    {
        assert_eq!(shape(version, url()), "text", "{version:?}");
    }
    for capabilities in [
        json!({}),
        json!({ "elicitation": {} }),
        json!({ "elicitation": { "form": {} } }),
        json!({ "elicitation": { "url": null } }),
        json!({ "elicitation": true }),
        Value::Null,
    ] {
        assert_eq!(shape(Some("2026-07-28"), capabilities.clone()), "text", "{capabilities}");
        assert_eq!(shape(Some("2025-11-25"), capabilities.clone()), "text", "{capabilities}");
    }
}

/// Proves: CL3
#[test]
fn cl3_gateways_answer_401_with_every_link_by_name() {
    let prompt = Prompt::new("notes", &consent("cns_1")).and("mail", &consent("cns_2"));
    let expected = json!({
        "error": "McpAuthRequiredError",
        "message": "The user has to connect notes, mail first.",
        "server_names": ["notes", "mail"],
        "authorization_urls": {
            "notes": "https://broker.example/consent/cns_1-canary",
            "mail": "https://broker.example/consent/cns_2-canary",
        },
    });
    assert_eq!(prompt.unauthorized(), expected);
    let replaced = prompt.and("notes", &consent("cns_3"));
    assert_eq!(replaced.consent_ids().collect::<Vec<_>>(), ["cns_2", "cns_3"]);
}

/// Proves: CL3
#[test]
fn cl3_failures_are_texts_with_their_stable_reason() {
    let status = super::super::fake::failure(tonic::Code::PermissionDenied, "POLICY_DENIED", None);
    let answer = Answer::failure(&Error::from(status), opens_links("2026-07-28"));
    let expected = json!({
        "resultType": "complete",
        "content": [{ "type": "text", "text": "This is not allowed: the broker says POLICY_DENIED (POLICY_DENIED)" }],
        "isError": true,
        "_meta": { "broker.v1/reason": "POLICY_DENIED" },
    });
    assert_eq!(result(&answer), &expected);
    // Whose token was used before need not sign in again.
    for (reason, wanted) in [("ASSERTION_EXPIRED", "sign in again"), ("ASSERTION_REPLAYED", "refresh it")] {
        let status = super::super::fake::failure(tonic::Code::Unauthenticated, reason, None);
        let answer = Answer::failure(&Error::from(status), opens_links("2026-07-28"));
        let text = result(&answer)["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains(wanted) && text.ends_with(&format!("({reason})")), "{text}");
    }
}

/// Proves: CL3
#[test]
fn cl3_links_do_not_print() {
    let prompt = Prompt::new("notes", &consent("cns_1"));
    let answers = ["2026-07-28", "2025-11-25", "2025-06-18"].map(|v| prompt.answer(opens_links(v), "s"));
    let printed = format!("{prompt:?} {answers:?}");
    assert!(!printed.contains("canary"), "{printed}");
}

/// A batch of notes, calendar and mail, of which the calendar alone is connected.
fn batch() -> Prompt {
    let item = |provider, scope| GrantRequest::new("alice", provider, [scope]);
    let request = BatchRequest::new("alice")
        .item(item("notes", "notes.read"))
        .item(item("calendar", "calendar.read"))
        .item(item("mail", "mail.read"));
    let required = BatchConsentRequired {
        url: ConsentUrl::new("https://broker.example/consents/page-canary".to_owned()),
        expire_time: consent("cns_1").expire_time,
        message: "Please connect Notes and Mail.".to_owned(),
        items: vec![Some(consent("cns_1")), None, Some(consent("cns_2"))],
    };
    let prompt = Prompt::batch(&request, &required);
    assert!(!format!("{prompt:?}").contains("canary"), "links do not print");
    assert_eq!(prompt.consent_ids().collect::<Vec<_>>(), ["cns_1", "cns_2"]);
    prompt
}

/// Proves: CL3, GR6
#[test]
fn cl3_gr6_a_batch_asks_by_one_link_in_every_shape() {
    let page = "https://broker.example/consents/page-canary";
    let modern = batch().answer(opens_links("2026-07-28"), "sealed");
    let expected = json!({
        "resultType": "input_required",
        "inputRequests": {
            "notes+mail": {
                "method": "elicitation/create",
                "params": { "mode": "url", "url": page, "message": "Please connect Notes and Mail." },
            },
        },
        "requestState": "sealed",
    });
    assert_eq!(result(&modern), &expected);

    let Answer::Error(error) = batch().answer(opens_links("2025-11-25"), "unused") else {
        panic!("an error")
    };
    let expected = json!({
        "code": -32042,
        "message": "The user has to open a link first.",
        "data": { "elicitations": [{
            "mode": "url",
            "elicitationId": "cns_1+cns_2",
            "url": page,
            "message": "Please connect Notes and Mail.",
        }]},
    });
    assert_eq!(error.to_value(), expected);
    assert_eq!(error.elicitation_ids(), ["cns_1+cns_2"]);
    assert_eq!(consents_of("cns_1+cns_2").collect::<Vec<_>>(), ["cns_1", "cns_2"]);
    assert_eq!(consents_of("cns_1").collect::<Vec<_>>(), ["cns_1"]);

    let text = batch().answer(reads_text("2025-11-25"), "unused");
    let expected = json!({
        "content": [{
            "type": "text",
            "text": format!("Please connect Notes and Mail. Open this link, then ask again: {page}"),
        }],
        "isError": true,
        "_meta": { "broker.v1/reason": "CONSENT_REASON_NOT_CONNECTED" },
    });
    assert_eq!(result(&text), &expected);
}

/// Proves: CL3, GR6
#[test]
fn cl3_gr6_a_gateway_is_given_a_link_for_each_missing_provider_of_a_batch() {
    let expected = json!({
        "error": "McpAuthRequiredError",
        "message": "The user has to connect notes, mail first.",
        "server_names": ["notes", "mail"],
        "authorization_urls": {
            "notes": "https://broker.example/consent/cns_1-canary",
            "mail": "https://broker.example/consent/cns_2-canary",
        },
    });
    assert_eq!(batch().unauthorized(), expected);

    // Two consents at one provider have one name: the page leads through both. Two items with one consent are one.
    let item = |scope| GrantRequest::new("alice", "notes", [scope]);
    let request = BatchRequest::new("alice").item(item("a")).item(item("b")).item(item("c"));
    let url = ConsentUrl::new("https://broker.example/consents/page".to_owned());
    let required = |ids: [&str; 3]| BatchConsentRequired {
        url: url.clone(),
        expire_time: consent("cns_1").expire_time,
        message: String::new(),
        items: ids.map(|id| Some(consent(id))).to_vec(),
    };
    let two = Prompt::batch(&request, &required(["cns_1", "cns_2", "cns_1"])).unauthorized();
    assert_eq!(two["authorization_urls"], json!({ "notes": url.expose() }));
    assert_eq!(two["server_names"], json!(["notes"]));
    let one = Prompt::batch(&request, &required(["cns_1", "cns_1", "cns_1"]));
    assert_eq!(one.consent_ids().count(), 1);
    assert_eq!(
        one.unauthorized()["authorization_urls"],
        json!({ "notes": "https://broker.example/consent/cns_1-canary" })
    );
}
