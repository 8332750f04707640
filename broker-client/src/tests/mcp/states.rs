//! Request states: what opens them, and what does not.

use super::params;
use crate::Assertion;
use crate::mcp::{StateError, Waiting};
use crate::mcp::{StateKey, ToolCall};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const SECRET: &[u8] = b"a secret of more than 32 bytes, for tests";
const OTHER: &[u8] = b"another secret of more than 32 bytes, for tests";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn waiting() -> Waiting {
    Waiting { consent_ids: vec!["cns_1".into(), "cns_2".into()], expire_time: at(1000) }
}

fn key() -> StateKey {
    StateKey::new(SECRET).expect("a key")
}

fn call(params: Value) -> ToolCall {
    ToolCall::from_params(&params).expect("a call")
}

fn binding(assertion: &str, params: Value) -> Vec<u8> {
    call(params).binding(&Assertion::from(assertion))
}

/// A token with these claims; its signature is nobody's.
fn token(claims: &Value, signature: &str) -> String {
    format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Proves: CL3
#[test]
fn cl3_a_state_opens_until_its_links_end() {
    let binding = binding("alice", params("list_notes", json!({})));
    let state = key().seal(&waiting(), &binding).expect("sealed");
    assert_eq!(key().open(&state, &binding, at(999)), Ok(waiting()));
    assert_eq!(key().open(&state, &binding, at(1000)), Err(StateError::Expired));
    assert!(!state.contains("cns_"), "it cannot be read: {state}");
    assert_ne!(key().seal(&waiting(), &binding).expect("sealed"), state, "no two are alike");
}

/// Proves: CL3
#[test]
fn cl3_a_state_opens_for_its_own_user_and_call_alone() {
    let arguments = json!({ "text": "a", "tags": ["x", 1], "deep": { "b": 1, "a": null } });
    let sealed_for = binding("alice", params("add_note", arguments.clone()));
    let state = key().seal(&waiting(), &sealed_for).expect("sealed");
    let same = json!({ "deep": { "a": null, "b": 1 }, "tags": ["x", 1], "text": "a" });
    assert!(
        key().open(&state, &binding("alice", params("add_note", same)), at(1)).is_ok(),
        "order says nothing"
    );
    let others = [
        binding("bob", params("add_note", arguments.clone())),
        binding("alice", params("list_notes", arguments)),
        binding(
            "alice",
            params("add_note", json!({ "text": "b", "tags": ["x", 1], "deep": { "b": 1, "a": null } })),
        ),
        binding(
            "alice",
            params("add_note", json!({ "text": "a", "tags": [1, "x"], "deep": { "b": 1, "a": null } })),
        ),
        binding(
            "alice",
            params("add_note", json!({ "text": "a", "tags": ["x", "1"], "deep": { "b": 1, "a": null } })),
        ),
        binding("alice", params("add_note", json!({ "text": "a", "tags": ["x", 1], "deep": { "b": 1 } }))),
        binding("alice", params("add_note", json!({}))),
        binding("alice", json!({ "name": "add_note" })),
    ];
    for other in others {
        assert_eq!(key().open(&state, &other, at(1)), Err(StateError::Invalid));
    }
}

/// Proves: CL3
#[test]
fn cl3_a_renewed_token_is_still_the_same_users_and_anothers_is_not() {
    let claims = |iss: &str, sub: &str, exp: u64| json!({ "iss": iss, "sub": sub, "exp": exp });
    let old = token(&claims("https://sso.example", "alice", 1), "old");
    let state = key().seal(&waiting(), &binding(&old, params("list", json!({})))).expect("sealed");
    let opens =
        |token: String| key().open(&state, &binding(&token, params("list", json!({}))), at(1)).is_ok();
    assert!(opens(token(&claims("https://sso.example", "alice", 2), "new")));
    assert!(!opens(token(&claims("https://sso.example", "bob", 1), "old")));
    assert!(!opens(token(&claims("https://other.example", "alice", 1), "old")));
    assert!(!opens(token(&json!({ "iss": "https://sso.example", "sub": ["alice"] }), "old")));
    assert!(!opens("opaque".to_owned()));
}

/// Proves: CL3
#[test]
fn cl3_a_state_that_was_changed_or_sealed_elsewhere_is_refused() {
    let binding = binding("alice", params("list_notes", json!({})));
    let state = key().seal(&waiting(), &binding).expect("sealed");
    let bytes = URL_SAFE_NO_PAD.decode(state.strip_prefix("bs2.").expect("its form")).expect("base64");
    for at_byte in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at_byte] ^= 1;
        let changed = format!("bs2.{}", URL_SAFE_NO_PAD.encode(changed));
        // The first ones name the key: under another one, it is nobody's that is known here.
        let refusal = if at_byte < 8 { StateError::Expired } else { StateError::Invalid };
        assert_eq!(key().open(&changed, &binding, at(1)), Err(refusal), "byte {at_byte}");
    }
    let encoded = &state["bs2.".len()..];
    let long = format!("bs2.{}", "A".repeat(5000));
    for odd in
        ["", "bs2.", "bs2.!", "bs2.AAAA", encoded, &format!("bs3.{encoded}"), &format!("{state}="), &long]
    {
        assert_eq!(key().open(odd, &binding, at(1)), Err(StateError::Invalid), "{odd}");
    }
    // Made by a server before an upgrade: begins anew, and says nothing of what was in it.
    for older in ["bs1.", "bs1.AAAA", &format!("bs1.{encoded}")] {
        assert_eq!(key().open(older, &binding, at(1)), Err(StateError::Expired), "{older}");
    }
    let other = StateKey::new(OTHER).expect("a key");
    assert_eq!(other.open(&state, &binding, at(1)), Err(StateError::Expired), "begins anew");
    // For as long as links live, a new secret opens what the one before it sealed; new ones are sealed under the new.
    let rotated = StateKey::new(OTHER).and_then(|key| key.or_previous(SECRET)).expect("a key");
    assert_eq!(rotated.open(&state, &binding, at(1)), Ok(waiting()));
    let fresh = rotated.seal(&waiting(), &binding).expect("sealed");
    assert_eq!(key().open(&fresh, &binding, at(1)), Err(StateError::Expired), "begins anew");
    // The step before that one: seals under the old, opens both.
    let ready = key().or_previous(OTHER).expect("a key");
    assert_eq!(ready.open(&fresh, &binding, at(1)), Ok(waiting()));
    assert!(key().open(&ready.seal(&waiting(), &binding).expect("sealed"), &binding, at(1)).is_ok());
    assert_eq!(other.open(&fresh, &binding, at(1)), Ok(waiting()));
}

/// Proves: CL3
#[test]
fn cl3_a_weak_secret_makes_no_key() {
    for weak in [&b""[..], &[7; 31], &[0; 64], &[b'x'; 32]] {
        assert_eq!(StateKey::new(weak).expect_err("weak").reason(), "CONFIGURATION");
        assert!(key().or_previous(weak).is_err());
    }
    assert!(!format!("{:?}", key()).contains("secret"));
    let binding = binding("alice", params("list", json!({})));
    let (one, other) = (StateKey::random().expect("a key"), StateKey::random().expect("a key"));
    let state = one.seal(&waiting(), &binding).expect("sealed");
    assert!(one.open(&state, &binding, at(1)).is_ok());
    assert!(other.open(&state, &binding, at(1)).is_err());
}

/// Proves: CL3
#[test]
fn cl3_parameters_of_the_wrong_type_are_refused_and_not_left_out() {
    for odd in [
        json!({}),
        json!({ "name": 1 }),
        json!({ "name": "t", "arguments": [] }),
        json!({ "name": "t", "requestState": 1 }),
        json!({ "name": "t", "inputResponses": [] }),
        json!({ "name": "t", "inputResponses": { "notes": {} } }),
        json!({ "name": "t", "inputResponses": { "notes": { "action": "maybe" } } }),
    ] {
        let refused = ToolCall::from_params(&odd).expect_err("refused").to_response(&json!(1));
        assert_eq!(refused["error"]["code"], -32602, "{odd}");
    }
    call(json!({ "name": "t", "arguments": null, "requestState": null, "inputResponses": null }));
}
