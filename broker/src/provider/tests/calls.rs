//! What is sent, and to whom.

use super::{
    NOW,
    fake::{Answer, Fake},
    opened, patient, set, spec,
};
use crate::{
    domain::{
        AccessToken, ExposeSecret, PkceVerifier, ProviderSpec, Reason, RefreshToken, SystemRng,
        provider::{ClientAuth, IssParameter, Narrowing, Pkce, ProviderClient, RevokeStyle},
    },
    provider::{ProviderError, Revocation, check_iss, new_verifier},
};
use std::{collections::BTreeMap, time::Duration};
use url::Url;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636 appendix B
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const GOOD: &str =
    r#"{"access_token":"at","refresh_token":"rt2","token_type":"Bearer","expires_in":60,"scope":"read"}"#;

fn callback() -> Url {
    "https://broker.example/oauth/callback/notes".parse().unwrap()
}

fn somewhere() -> ProviderSpec {
    spec(&"https://notes.example".parse().unwrap())
}

fn authorize(spec: &ProviderSpec) -> Result<BTreeMap<String, String>, ProviderError> {
    let url =
        patient().authorize_url(spec, &callback(), "st", &VERIFIER.to_owned().into(), &set("write read"))?;
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a parameter twice");
    Ok(map)
}

/// Proves: CO4
#[test]
fn co4_the_authorization_request_carries_an_s256_challenge() {
    let mut spec = somewhere();
    spec.authorize_params = vec![("access_type".to_owned(), "offline".to_owned())];
    let sent = authorize(&spec).unwrap();
    let expected = [
        ("access_type", "offline"),
        ("client_id", "client:1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "https://broker.example/oauth/callback/notes"),
        ("response_type", "code"),
        ("scope", "offline_access read write"),
        ("state", "st"),
    ];
    assert_eq!(sent, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    spec.pkce = Pkce::Off;
    assert!(!authorize(&spec).unwrap().contains_key("code_challenge"));
    spec.scope_separator = ',';
    assert_eq!(authorize(&spec).unwrap()["scope"], "offline_access,read,write");
}

/// Proves: CO4
#[test]
fn co4_extra_parameters_cannot_shadow_the_engines() {
    for name in ["state", "code_challenge_method", "redirect_uri", "client_id", "scope", "response_type"] {
        let mut spec = somewhere();
        spec.authorize_params = vec![(name.to_owned(), "plain".to_owned())];
        assert!(matches!(authorize(&spec), Err(ProviderError::Misconfigured(_))), "{name}");
        let mut spec = somewhere();
        spec.authorize_url.query_pairs_mut().append_pair(name, "plain");
        assert!(matches!(authorize(&spec), Err(ProviderError::Misconfigured(_))), "{name}");
    }
}

/// Proves: CO4
#[test]
fn co4_verifiers_are_long_random_and_made_of_allowed_characters() {
    let rng = SystemRng::default();
    let (a, b) = (new_verifier(&rng), new_verifier(&rng));
    assert_ne!(a.expose_secret(), b.expose_secret());
    assert_eq!(a.expose_secret().len(), 43);
    assert!(a.expose_secret().bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')));
}

/// Proves: CO5
#[test]
fn co5_an_issuer_that_is_known_must_match_and_an_unknown_one_must_be_silent() {
    let own = || "https://notes.example".to_owned();
    for (known, iss, ok) in [
        (IssParameter::Required(own()), Some("https://notes.example"), true),
        (IssParameter::Required(own()), None, false),
        (IssParameter::Required(own()), Some("https://notes.example/"), false),
        (IssParameter::Required(own()), Some("https://evil.example"), false),
        (IssParameter::IfPresent(own()), Some("https://notes.example"), true),
        (IssParameter::IfPresent(own()), None, true),
        (IssParameter::IfPresent(own()), Some(""), false),
        (IssParameter::Unknown, None, true),
        (IssParameter::Unknown, Some("https://notes.example"), false),
    ] {
        let spec = ProviderSpec { iss: known, ..somewhere() };
        let result = check_iss(&spec, iss);
        assert_eq!(result.is_ok(), ok, "{iss:?}");
        assert!(ok || result.unwrap_err().reason() == Reason::ConsentIssuerMismatch);
    }
}

/// Proves: CO4, CO10
#[tokio::test]
async fn co10_a_code_is_redeemed_with_its_verifier_and_what_was_granted_is_recorded() {
    let fake = Fake::start().await;
    fake.will(Answer::new(200, GOOD));
    let spec = spec(&fake.base);
    let requested = set("read write");
    let code = "the code".to_owned().into();
    let tokens =
        patient().exchange_code(&spec, code, &callback(), opened(VERIFIER), &requested).await.unwrap();
    assert_eq!(
        (tokens.access.expose_secret(), tokens.refresh.as_ref().unwrap().expose_secret()),
        ("at", "rt2")
    );
    assert_eq!(tokens.access_expires_at, Some(NOW.plus(Duration::from_secs(60))));
    assert_eq!((tokens.scopes.clone(), tokens.missing(&requested)), (set("read"), set("write")));
    let asked = fake.last();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token"));
    for (field, value) in [
        ("grant_type", Some("authorization_code")),
        ("code", Some("the code")),
        ("code_verifier", Some(VERIFIER)),
        ("redirect_uri", Some("https://broker.example/oauth/callback/notes")),
    ] {
        assert_eq!(asked.field(field), value, "{field}");
    }
}

/// Proves: PR6
#[tokio::test]
async fn pr6_the_client_authenticates_in_exactly_one_way() {
    let fake = Fake::start().await;
    let mut spec = spec(&fake.base);
    fake.will(Answer::new(200, GOOD));
    patient().refresh(&spec, opened("rt"), None, &set("read")).await.unwrap();
    let basic = fake.last();
    // client%3A1:s+e%2Bc%25ret, each half form-encoded before joining (RFC 6749 §2.3.1).
    assert_eq!(basic.authorization.as_deref(), Some("Basic Y2xpZW50JTNBMTpzK2UlMkJjJTI1cmV0"));
    assert_eq!((basic.field("client_id"), basic.field("client_secret")), (None, None));

    spec.client = ProviderClient { auth: ClientAuth::Post, ..spec.client };
    fake.will(Answer::new(200, GOOD));
    patient().refresh(&spec, opened("rt"), None, &set("read")).await.unwrap();
    let post = fake.last();
    assert_eq!(post.authorization, None);
    assert_eq!((post.field("client_id"), post.field("client_secret")), (Some("client:1"), Some("s e+c%ret")));
}

/// Proves: RF7
#[tokio::test]
async fn rf7_a_refresh_sends_scope_only_where_it_narrows() {
    let fake = Fake::start().await;
    let mut spec = spec(&fake.base);
    let held = set("read write");
    let bare = r#"{"access_token":"at"}"#;
    for (narrowing, scopes, sent, granted) in [
        (Narrowing::RefreshWithScope, Some(set("read")), Some("offline_access read"), "read"),
        (Narrowing::RefreshWithScope, Some(held.clone()), None, "read write"),
        (Narrowing::RefreshWithScope, None, None, "read write"),
        (Narrowing::None, Some(set("read")), None, "read write"),
    ] {
        spec.narrowing = narrowing;
        fake.will(Answer::new(200, bare));
        let tokens = patient().refresh(&spec, opened("rt"), scopes.as_ref(), &held).await.unwrap();
        assert!(tokens.refresh.is_none());
        assert_eq!(tokens.scopes, set(granted));
        let asked = fake.last();
        assert_eq!(
            (asked.field("grant_type"), asked.field("refresh_token")),
            (Some("refresh_token"), Some("rt"))
        );
        assert_eq!(asked.field("scope"), sent);
    }
}

/// Proves: PR6, NE2
#[tokio::test]
async fn pr6_a_redirect_takes_no_secret_elsewhere() {
    let (fake, elsewhere) = (Fake::start().await, Fake::start().await);
    for status in [301, 302, 303, 307, 308] {
        fake.will(Answer::new(status, "").with("location", elsewhere.base.as_str()));
        let error = patient().refresh(&spec(&fake.base), opened("rt"), None, &set("read")).await.unwrap_err();
        assert!(matches!(error, ProviderError::Protocol { .. }), "{status}: {error:?}");
    }
    assert!(elsewhere.asked().is_empty());
}

/// Proves: NE2
#[tokio::test]
async fn ne2_a_provider_on_a_network_that_is_not_allowed_gets_nothing() {
    let fake = Fake::start().await;
    for networks in [vec![], vec!["10.0.0.0/8".to_owned()], vec!["not a network".to_owned()]] {
        let spec = ProviderSpec { allowed_networks: networks, ..spec(&fake.base) };
        let error = patient().refresh(&spec, opened("rt"), None, &set("read")).await.unwrap_err();
        assert!(matches!(error, ProviderError::Misconfigured(_)) && !error.maybe_received(), "{error:?}");
    }
    assert!(fake.asked().is_empty());
}

/// Proves: RV1, RV8
#[tokio::test]
async fn rv1_revoking_tells_the_truth_for_both_kinds_of_token() {
    let fake = Fake::start().await;
    let spec = spec(&fake.base);
    for (status, body, truth) in [
        (200, "", Some(Revocation::Revoked)),
        (204, "", Some(Revocation::Revoked)),
        (200, r#"{"ok":true}"#, Some(Revocation::Revoked)),
        (400, r#"{"error":"invalid_token"}"#, Some(Revocation::Revoked)),
        (200, r#"{"ok":false,"error":"token_revoked"}"#, Some(Revocation::Revoked)),
        (400, r#"{"error":"unsupported_token_type"}"#, Some(Revocation::Unsupported)),
        (200, r#"{"ok":false,"error":"not_authed"}"#, None),
        (200, "<html>log in", None),
        (302, "", None),
        (401, r#"{"error":"invalid_client"}"#, None),
        (404, "", None),
        (503, "", None),
    ] {
        fake.will(Answer::new(status, body));
        let result = patient().revoke::<RefreshToken>(&spec, opened("rt")).await;
        assert_eq!(result.as_ref().ok(), truth.as_ref(), "{status} {body}: {result:?}");
    }
    let asked = fake.last();
    assert_eq!((asked.path.as_str(), asked.field("token")), ("/revoke", Some("rt")));
    assert_eq!(asked.field("token_type_hint"), Some("refresh_token"));
    assert!(asked.authorization.is_some());
    fake.will(Answer::new(200, ""));
    patient().revoke::<AccessToken>(&spec, opened("at")).await.unwrap();
    assert_eq!(fake.last().field("token_type_hint"), Some("access_token"));
}

/// Proves: RV1
#[tokio::test]
async fn rv1_where_nothing_can_be_revoked_nothing_is_sent() {
    let fake = Fake::start().await;
    let none = ProviderSpec { revoke: RevokeStyle::Unsupported, ..spec(&fake.base) };
    assert_eq!(patient().revoke::<RefreshToken>(&none, opened("rt")).await.unwrap(), Revocation::Unsupported);
    let verifier = patient().revoke::<PkceVerifier>(&spec(&fake.base), opened(VERIFIER)).await.unwrap();
    assert_eq!(verifier, Revocation::Unsupported);
    assert!(fake.asked().is_empty());
}

/// Proves: CO11
#[tokio::test]
async fn co11_the_account_is_looked_up_with_the_new_token() {
    let fake = Fake::start().await;
    let spec = spec(&fake.base);
    let long = "é".repeat(200);
    for (body, expected) in [
        (r#"{"user":{"id":"u1","name":"alice"}}"#.to_owned(), Some(("u1", "alice".to_owned()))),
        (
            r#"{"user":{"id":9007199254740993,"name":null}}"#.to_owned(),
            Some(("9007199254740993", "9007199254740993".to_owned())),
        ),
        (
            r#"{"user":{"id":"u1","name":" a\u202elice\u0000\u200b "}}"#.to_owned(),
            Some(("u1", "alice".to_owned())),
        ),
        (format!(r#"{{"user":{{"id":"u1","name":"{long}"}}}}"#), Some(("u1", "é".repeat(128)))),
        (r#"{"user":{"name":"alice"}}"#.to_owned(), None),
        (r#"{"user":{"id":"","name":"alice"}}"#.to_owned(), None),
        (r#"{"user":{"id":1.5,"name":"alice"}}"#.to_owned(), None),
        (r#"{"user":{"id":184467440737095516160,"name":"alice"}}"#.to_owned(), None),
        (r#"{"user":{"id":"u\n1","name":"alice"}}"#.to_owned(), None),
        (format!(r#"{{"user":{{"id":"{}","name":"alice"}}}}"#, "x".repeat(257)), None),
        (r#"{"user":{"id":"u1","id":"u2","name":"alice"}}"#.to_owned(), None),
        (r#"{"ok":false,"error":"invalid_auth"}"#.to_owned(), None),
        ("<html>".to_owned(), None),
    ] {
        fake.will(Answer::new(200, body.clone()));
        let account = patient()
            .account(&spec, &crate::domain::TenantId::parse("acme").unwrap(), &"at".to_owned().into())
            .await
            .ok();
        let found = account.map(|account| (account.id, account.label));
        assert_eq!(found, expected.map(|(id, label)| (id.to_owned(), label)), "{body}");
    }
    let asked = fake.last();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/me"));
    assert_eq!(asked.authorization.as_deref(), Some("Bearer at"));
    fake.will(Answer::new(401, ""));
    let error = patient()
        .account(&spec, &crate::domain::TenantId::parse("acme").unwrap(), &"at".to_owned().into())
        .await
        .unwrap_err();
    assert!(!error.is_terminal(), "{error:?}");
}
