//! What token responses mean (RF8).

use super::{NOW, set, spec};
use crate::{
    domain::{ExposeSecret, ProviderSpec, Timestamp, provider::Expiry},
    net::Response,
    provider::{ProviderError, TokenSet, Trouble, account, revoke, strict_json, token_response},
};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use std::time::Duration;

fn response(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() }
}

fn provider() -> ProviderSpec {
    spec(&"https://notes.example".parse().unwrap())
}

fn read(body: &str) -> Result<TokenSet, ProviderError> {
    token_response::read(&provider(), &response(200, body), &set("read write"), NOW)
}

fn read_expiry(rule: Expiry, expires_in: &str) -> Result<Option<Timestamp>, ProviderError> {
    let spec = ProviderSpec { expiry: rule, ..provider() };
    let body = format!(r#"{{"access_token":"at","token_type":"bearer"{expires_in}}}"#);
    token_response::read(&spec, &response(200, body), &set("read"), NOW)
        .map(|tokens| tokens.access_expires_at)
}

/// Proves: RF8
#[test]
fn rf8_every_expires_in_has_its_meaning() {
    let after = |seconds| Some(NOW.plus(Duration::from_secs(seconds)));
    let ten_years = 10 * 366 * 24 * 3_600;
    for (text, given) in [
        ("3600", Some(3_600)),
        (r#""3600""#, Some(3_600)),
        (r#"" 3600 ""#, Some(3_600)),
        ("3599.9", Some(3_599)),
        (r#""3599.9""#, Some(3_599)),
        ("1", Some(1)),
        ("99999999999999999999999999", Some(ten_years)),
        ("1e300", Some(ten_years)),
        (r#""18446744073709551615""#, Some(ten_years)),
        ("0", None),
        (r#""0""#, None),
        (r#""""#, None),
        ("0.4", None),
        ("null", None),
        ("-1", None),
        ("-9e99", None),
    ] {
        let field = format!(r#","expires_in":{text}"#);
        let with_rule = read_expiry(Expiry::GivenOr(Duration::from_secs(900)), &field).unwrap();
        assert_eq!(with_rule, given.map_or(after(900), after), "{text}");
        assert_eq!(read_expiry(Expiry::Never, &field).unwrap(), given.and_then(after), "{text}");
    }
    assert_eq!(read_expiry(Expiry::GivenOr(Duration::from_secs(900)), "").unwrap(), after(900));
    assert_eq!(read_expiry(Expiry::Never, "").unwrap(), None);
    for bad in ["true", "{}", "[3600]", r#""soon""#, r#""inf""#, r#""NaN""#] {
        let result = read_expiry(Expiry::Never, &format!(r#","expires_in":{bad}"#));
        assert!(matches!(result, Err(ProviderError::Protocol { .. })), "{bad}: {result:?}");
    }
}

/// Proves: RF8
#[test]
fn rf8_the_token_type_is_bearer_in_any_case() {
    for kind in ["", r#","token_type":"Bearer""#, r#","token_type":"BEARER""#, r#","token_type":null"#] {
        assert!(read(&format!(r#"{{"access_token":"at"{kind}}}"#)).is_ok(), "{kind}");
    }
    for kind in [r#""mac""#, r#""DPoP""#, r#""""#, "1"] {
        let error = read(&format!(r#"{{"access_token":"at","token_type":{kind}}}"#)).unwrap_err();
        assert!(matches!(error, ProviderError::Protocol { .. }), "{kind}");
    }
}

/// Proves: CO10, RF8
#[test]
fn co10_scopes_are_those_of_the_answer_and_technical_ones_are_no_part() {
    let asked = set("read write");
    for (field, granted) in [
        ("", "read write"),
        (r#","scope":null"#, "read write"),
        (r#","scope":"read""#, "read"),
        (r#","scope":"write offline_access read""#, "read write"),
        (r#","scope":"read admin""#, "read admin"),
        (r#","scope":"""#, ""),
        (r#","scope":["read","write"]"#, "read write"),
    ] {
        let tokens = read(&format!(r#"{{"access_token":"at"{field}}}"#)).unwrap();
        assert_eq!(tokens.scopes, set(granted), "{field}");
        assert_eq!(tokens.missing(&asked), asked.minus(&set(granted)));
        assert_eq!(tokens.wider(&asked), set(granted).minus(&asked));
    }
    let commas = ProviderSpec { scope_separator: ',', ..provider() };
    let body = response(200, r#"{"access_token":"at","scope":"read,write"}"#);
    assert_eq!(token_response::read(&commas, &body, &asked, NOW).unwrap().scopes, asked);
}

/// Proves: RF8
#[test]
fn rf8_a_form_is_read_like_json() {
    let tokens =
        read("access_token=at%2B1&scope=read&token_type=bearer&expires_in=60&refresh_token=rt").unwrap();
    assert_eq!(tokens.access.expose_secret(), "at+1");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "rt");
    assert_eq!(
        (tokens.scopes, tokens.access_expires_at),
        (set("read"), Some(NOW.plus(Duration::from_secs(60))))
    );
    assert!(matches!(
        read("error=bad_verification_code&error_description=no"),
        Err(ProviderError::GrantRejected(code)) if code.as_str() == "bad_verification_code"
    ));
}

/// Proves: RF6, RF8
#[test]
fn rf6_what_is_no_answer_is_unavailability() {
    for body in [
        "",
        "nonsense",
        "[]",
        "{",
        r#"{"access_token":"a","access_token":"b"}"#,
        r#"{"access_token":"a","x":{"y":1,"y":2}}"#,
        "access_token=a&access_token=b",
        "\u{feff}{}",
    ] {
        let error = read(body).unwrap_err();
        assert!(
            matches!(error, ProviderError::Unavailable { trouble: Trouble::Malformed, .. }),
            "{body}: {error:?}"
        );
    }
    for status in [200, 400, 401, 403] {
        let page = response(status, "\n<!doctype html><p>invalid_grant");
        let error = token_response::read(&provider(), &page, &set("read"), NOW).unwrap_err();
        assert!(matches!(error, ProviderError::Unavailable { trouble: Trouble::Html, .. }), "{error:?}");
    }
}

/// Proves: RF8
#[test]
fn rf8_tokens_that_cannot_be_tokens_are_refused() {
    let long = "x".repeat(16 * 1024);
    assert!(read(&format!(r#"{{"access_token":"{long}","refresh_token":"{long}"}}"#)).is_ok());
    for body in [
        "{}".to_owned(),
        r#"{"access_token":null}"#.to_owned(),
        r#"{"access_token":""}"#.to_owned(),
        r#"{"access_token":7}"#.to_owned(),
        r#"{"access_token":"a b"}"#.to_owned(),
        r#"{"access_token":"a\nb"}"#.to_owned(),
        r#"{"access_token":"ä"}"#.to_owned(),
        r#"{"access_token":"at","refresh_token":["rt"]}"#.to_owned(),
        format!(r#"{{"access_token":"{long}x"}}"#),
        format!(r#"{{"access_token":"at","refresh_token":"{long}x"}}"#),
    ] {
        let error = read(&body).unwrap_err();
        assert!(matches!(error, ProviderError::Protocol { rescued: None, .. }), "{error:?}");
    }
}

/// Proves: RF7
#[test]
fn rf7_no_refresh_token_means_none_came_and_one_in_an_unusable_answer_is_rescued() {
    for body in [r#"{"access_token":"at"}"#, r#"{"access_token":"at","refresh_token":""}"#] {
        assert!(read(body).unwrap().refresh.is_none());
    }
    for body in [
        r#"{"refresh_token":"new"}"#,
        r#"{"access_token":"at","refresh_token":"new","token_type":"mac"}"#,
        r#"{"access_token":"at","refresh_token":"new","scope":"a\"b"}"#,
        r#"{"access_token":"at","refresh_token":"new","expires_in":"soon"}"#,
    ] {
        let Err(ProviderError::Protocol { rescued: Some(rescued), .. }) = read(body) else {
            panic!("{body}")
        };
        assert_eq!(rescued.expose_secret(), "new");
    }
}

#[test]
fn no_token_is_printed() {
    let tokens = read(r#"{"access_token":"canary-a","refresh_token":"canary-r"}"#).unwrap();
    assert!(!format!("{tokens:?}").contains("canary"));
    let error = read(r#"{"refresh_token":"canary-r"}"#).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"));
}

proptest! {
    /// Proves: RF8
    #[test]
    fn rf8_no_bytes_make_a_reader_panic(status in 200_u16..600, body: Vec<u8>) {
        let response = response(status, body);
        let spec = provider();
        let _ = token_response::read(&spec, &response, &set("read"), NOW);
        let _ = revoke::read(&response, NOW);
        let _ = account::read(&spec.account, &response, NOW);
    }

    /// Proves: RF8
    #[test]
    fn rf8_no_json_fields_make_the_reader_panic_or_invent_a_token(
        fields in proptest::collection::btree_map(
            prop_oneof![
                Just("access_token"), Just("refresh_token"), Just("expires_in"), Just("scope"),
                Just("token_type"), Just("error"), Just("ok"), Just("suberror"),
            ],
            prop_oneof![
                Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned()), Just("{}".to_owned()),
                Just("[]".to_owned()), Just(r#""bearer""#.to_owned()), Just(r#""invalid_grant""#.to_owned()),
                any::<i64>().prop_map(|n| n.to_string()),
                any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| n.to_string()),
                any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            ],
            0..8,
        )
    ) {
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        let body = format!("{{{}}}", fields.join(","));
        if let Ok(tokens) = read(&body) {
            let json = strict_json::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(json["access_token"].as_str(), Some(tokens.access.expose_secret()));
            prop_assert!(json.get("error").is_none_or(|e| e.is_null() || e == false || e == ""));
        }
    }
}
