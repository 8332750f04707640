//! Tokens that are not what they should be as a text.

use super::{
    issuer::encode,
    world::{World, claims, invalid, with},
};
use crate::identity::TokenError::{self, *};
use serde_json::{Value, json};

const NOT_BASE64: TokenError = Malformed("a part is not canonical base64url");
const NOT_JSON: TokenError = Malformed("a part is not a JSON object");
const NOT_THREE: TokenError = Malformed("it does not have three parts");

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// Alice's payload with something written behind its first brace.
fn payload_with(member: &str) -> String {
    claims().to_string().replacen('{', &format!("{{{member},"), 1)
}

async fn refuses_payload(payload: &str, error: TokenError) {
    let world = World::new();
    world.refuses(&world.es.raw(&world.es.header().to_string(), payload), error).await;
}

async fn refuses_header(changes: Value, error: TokenError) {
    let world = World::new();
    let mut header = world.es.header();
    header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    world.refuses(&world.es.raw(&header.to_string(), &claims().to_string()), error).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_a_token_above_16_kib_is_too_large_not_absent() {
    let world = World::new();
    world.refuses_claims(json!({ "filler": "x".repeat(16 * 1024) }), TooLarge).await;
    let room = (16 * 1024 - world.es.token(&with(json!({ "filler": "" }))).len()) * 3 / 4 - 3;
    let largest = world.es.token(&with(json!({ "filler": "x".repeat(room) })));
    assert!((16 * 1024 - 8..=16 * 1024).contains(&largest.len()));
    assert!(world.assertion(&largest).await.is_ok());
}

/// Proves: ID5
#[tokio::test]
async fn id5_depth_16_passes_and_17_is_refused() {
    let world = World::new();
    let header = world.es.header().to_string();
    let deepest = payload_with(&format!(r#""deep":{}"#, nested(15)));
    assert!(world.assertion(&world.es.raw(&header, &deepest)).await.is_ok());
    refuses_payload(&payload_with(&format!(r#""deep":{}"#, nested(16))), TooDeep).await;
    refuses_payload(&payload_with(&format!(r#""deep":{}"#, nested(5000))), TooDeep).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_64_claims_pass_and_65_are_refused() {
    let filler = |count: usize| (0..count).map(|i| format!(r#""c{i}":1"#)).collect::<Vec<_>>().join(",");
    let world = World::new();
    let header = world.es.header().to_string();
    assert!(world.assertion(&world.es.raw(&header, &payload_with(&filler(59)))).await.is_ok());
    refuses_payload(&payload_with(&filler(60)), TooManyClaims).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_duplicate_claim_is_refused() {
    refuses_payload(&payload_with(r#""sub":"bob""#), DuplicateMember).await;
    refuses_payload(&payload_with(r#""sub":"alice""#), DuplicateMember).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_duplicate_spelt_with_an_escape_is_refused() {
    refuses_payload(&payload_with(r#""s\u0075b":"bob""#), DuplicateMember).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_duplicate_deep_inside_is_refused() {
    refuses_payload(&payload_with(r#""x":[{"y":{"z":1,"z":2}}]"#), DuplicateMember).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_duplicate_header_parameter_is_refused() {
    let world = World::new();
    let header = r#"{"alg":"ES256","kid":"es","alg":"none"}"#;
    world.refuses(&world.es.raw(header, &claims().to_string()), DuplicateMember).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_any_crit_is_refused() {
    refuses_header(json!({ "crit": ["exp"] }), CriticalHeader).await;
    refuses_header(json!({ "crit": [] }), CriticalHeader).await;
    refuses_header(json!({ "crit": ["b64"], "b64": false }), CriticalHeader).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_wrong_typ_is_refused() {
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWT ", ""] {
        refuses_header(json!({ "typ": typ }), TypeNotAllowed).await;
    }
    refuses_header(json!({ "typ": 1 }), Malformed("a header parameter is not a string")).await;
    refuses_header(json!({ "typ": null }), Malformed("a header parameter is not a string")).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_typ_is_compared_as_a_media_type_and_may_be_required() {
    let world = World::new();
    for typ in ["jwt", "application/at+jwt", "AT+JWT"] {
        let header = json!({ "alg": "ES256", "kid": "es", "typ": typ });
        assert!(world.assertion(&world.es.raw(&header.to_string(), &claims().to_string())).await.is_ok());
    }
    let strict = World::build(|spec| spec.typ.absent = false, vec![super::world::notes()]).unwrap();
    let token = strict.es.raw(r#"{"alg":"ES256","kid":"es"}"#, &claims().to_string());
    strict.refuses(&token, TypeNotAllowed).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_security_event_or_logout_token_is_no_assertion() {
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    World::new().refuses_claims(json!({ "events": event }), invalid("events")).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_a_jwe_is_refused_with_its_own_error() {
    World::new().refuses("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", Encrypted).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_other_numbers_of_parts_are_malformed() {
    let world = World::new();
    let token = world.es.token(&claims());
    for bad in [&token[..token.rfind('.').unwrap()], "a", &format!("{token}."), &format!("{token}.a.b.c")] {
        let parts = bad.split('.').count();
        world.refuses(bad, if parts == 5 { Encrypted } else { NOT_THREE }).await;
    }
    world.refuses("..", NOT_JSON).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_padding_white_space_and_trailing_garbage_are_refused() {
    let world = World::new();
    let token = world.es.token(&claims());
    for bad in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}!"),
        token.replacen('.', ".\t", 1),
        token.replacen('.', "\0.", 1),
    ] {
        world.refuses(&bad, NOT_BASE64).await;
    }
}

/// Proves: ID5
#[tokio::test]
async fn id5_base64_with_trailing_bits_or_the_other_alphabet_is_refused() {
    let world = World::new();
    let token = world.es.token(&claims());
    // 64 bytes end in a character of which 4 bits do not count.
    let last = token.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = alphabet.find(last).unwrap();
    let twin = alphabet.as_bytes()[value | 1] as char;
    world.refuses(&format!("{}{twin}", &token[..token.len() - 1]), NOT_BASE64).await;
    world.refuses(&format!("{}+/", &token[..token.len() - 2]), NOT_BASE64).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_what_is_not_one_json_object_is_malformed() {
    let world = World::new();
    let header = world.es.header().to_string();
    let payload = claims().to_string();
    for bad in ["", "null", "[]", "\"x\"", "{", "{}{}", &format!("{payload}x"), "{'sub':'alice'}"] {
        world.refuses(&world.es.raw(&header, bad), NOT_JSON).await;
    }
    for huge in ["1e999", "-1e999", "NaN", "Infinity", "0x10", "01"] {
        refuses_payload(&payload.replace(&format!("{}", super::world::NOW + 300), huge), NOT_JSON).await;
    }
    let input = format!("{}.{}", encode(&header), encode(b"{\"sub\":\"\xff\"}"));
    let token = format!("{input}.{}", encode(world.es.signature(input.as_bytes())));
    world.refuses(&token, NOT_JSON).await;
    refuses_payload(&payload_with(r#""x":"\ud800""#), NOT_JSON).await;
    let bom = format!("\u{feff}{payload}");
    refuses_payload(&bom, NOT_JSON).await;
}

/// Proves: ID15
#[tokio::test]
async fn id15_an_empty_assertion_is_missing_and_stays_an_error() {
    use crate::{domain::Reason, identity::IdentityError};
    let error = World::new().assertion("").await.err().unwrap();
    assert_eq!(error, IdentityError::AssertionMissing);
    assert_eq!(error.reason(), Reason::AssertionMissing);
}
