//! Tokens that are signed by the right key and say the wrong things.

use super::world::{ISS, NOW, World, invalid, missing, notes, tenant, with};
use crate::domain::Timestamp;
use crate::identity::{
    IdentityError, SubjectClaims, TenantRule,
    TokenError::{self, *},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

async fn refuses(changes: Value, error: TokenError) {
    World::new().refuses_claims(changes, error).await;
}

/// Replaces a number by JSON text that serde_json's own values cannot spell.
async fn refuses_number(name: &str, text: &str) {
    let world = World::new();
    let payload = with(json!({ name: 424_242 })).to_string().replace("424242", text);
    world.refuses(&world.es.raw(&world.es.header().to_string(), &payload), invalid(name)).await;
}

/// Proves: ID4, ID6
#[tokio::test]
async fn id4_a_right_assertion_yields_what_it_says() {
    let world = World::new();
    let token = world.es.token(&with(json!({
        "azp": "notes-client", "acr": "gold", "auth_time": NOW - 60, "sid": "s1", "jti": "j1", "name": "Alice A.",
        "realm_access": { "roles": ["editor", "auditor"] }, "iat": NOW as f64 - 9.5,
    })));
    for _ in 0..2 {
        let seen = world.assertion(&token).await.unwrap();
        assert_eq!(seen.subject().id, "alice");
        assert_eq!((seen.subject().tenant.as_str(), seen.subject().realm.as_str()), ("acme", "people"));
        assert_eq!((seen.issuer(), seen.issuer_name()), (ISS, "sso"));
        assert_eq!(**seen.roles(), super::world::set(&["editor", "auditor"]));
        assert_eq!(
            (seen.client_id(), seen.acr(), seen.sid()),
            (Some("notes-client"), Some("gold"), Some("s1"))
        );
        assert_eq!((seen.jti(), seen.label(), seen.actor()), (Some("j1"), "Alice A.", None));
        assert_eq!(seen.auth_time(), Some(Timestamp::from_unix_seconds(NOW - 60)));
        assert_eq!(seen.issued_at(), Timestamp::from_micros(NOW * 1_000_000 - 9_500_000));
        assert_eq!(seen.expires_at(), Timestamp::from_unix_seconds(NOW + 300));
        assert_eq!(data_encoding::HEXLOWER.encode(seen.sha256()).len(), 64);
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_every_required_claim_must_be_there() {
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        refuses(json!({ name: null }), missing(name)).await;
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_null_is_a_wrong_type_not_an_absent_claim() {
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "azp",
        "client_id",
        "act",
        "acr",
        "auth_time",
        "sid",
        "jti",
        "nonce",
        "name",
    ] {
        let world = World::new();
        let mut claims = with(json!({}));
        claims[name] = Value::Null;
        world.refuses(&world.es.token(&claims), invalid(name)).await;
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_the_issuer_is_compared_byte_for_byte() {
    for iss in
        ["https://sso.example.com/", "https://SSO.example.com", "http://sso.example.com", "sso.example.com"]
    {
        refuses(json!({ "iss": iss }), IssuerUnknown).await;
    }
    refuses(json!({ "iss": [ISS] }), invalid("iss")).await;
}

/// Proves: ID6
#[tokio::test]
async fn id6_subjects_are_never_folded_or_trimmed() {
    let world = World::new();
    let alice = world.claimed(with(json!({}))).await.unwrap();
    for other in ["Alice", "ALICE", "alice ", "alicé", "alice\u{301}", "\u{ff41}lice"] {
        let seen = world.claimed(with(json!({ "sub": other }))).await.unwrap();
        assert_eq!(seen.subject().id, other);
        assert_ne!(seen.subject(), alice.subject());
    }
}

/// Proves: ID4, ID5
#[tokio::test]
async fn id4_a_bad_subject_is_refused() {
    for bad in
        [json!(""), json!("x".repeat(256)), json!(7), json!(["alice"]), json!({}), json!("a\0b"), json!(true)]
    {
        refuses(json!({ "sub": bad }), invalid("sub")).await;
    }
    assert!(World::new().claimed(with(json!({ "sub": "x".repeat(255) }))).await.is_ok());
}

/// Proves: ID6
#[tokio::test]
async fn id6_joined_subject_claims_are_unambiguous() {
    let joined = |spec: &mut crate::identity::IssuerSpec| {
        spec.subject = SubjectClaims(vec!["tid".to_owned(), "oid".to_owned()]);
    };
    let world = World::build(joined, vec![notes()]).unwrap();
    let id = async |tid: &str, oid: &str| {
        world
            .claimed(with(json!({ "tid": tid, "oid": oid, "sub": null })))
            .await
            .unwrap()
            .subject()
            .id
            .clone()
    };
    assert_eq!(id("t1", "o1").await, "t1:o1");
    assert_eq!(id("a:b", "c").await, "a%3Ab:c");
    assert_eq!(id("a", "b:c").await, "a:b%3Ac");
    assert_eq!(id("a%3Ab", "c").await, "a%253Ab:c");
    world.refuses_claims(json!({ "tid": "t1" }), missing("oid")).await;
    world.refuses_claims(json!({ "tid": "t1", "oid": "" }), invalid("oid")).await;
    let long = "x".repeat(128);
    world.refuses_claims(json!({ "tid": long, "oid": long }), invalid("tid+oid")).await;
}

/// Proves: ID6
#[tokio::test]
async fn id6_a_tenant_claim_maps_listed_values_only() {
    let by_claim = |spec: &mut crate::identity::IssuerSpec| {
        let tenants = BTreeMap::from([("72f9-GUID".to_owned(), tenant("acme"))]);
        spec.tenant = TenantRule::Claim { name: "tid".to_owned(), tenants };
    };
    let world = World::build(by_claim, vec![notes()]).unwrap();
    let seen = world.claimed(with(json!({ "tid": "72f9-GUID" }))).await.unwrap();
    assert_eq!(seen.subject().tenant, tenant("acme"));
    world.refuses_claims(json!({}), missing("tid")).await;
    world.refuses_claims(json!({ "tid": "72f9-guid" }), TenantUnknown).await;
    world.refuses_claims(json!({ "tid": "acme" }), TenantUnknown).await;
    world.refuses_claims(json!({ "tid": ["72f9-GUID"] }), invalid("tid")).await;
}

/// Proves: ID6
#[tokio::test]
async fn id6_a_workload_serves_its_own_tenants_only() {
    let mut elsewhere = notes();
    elsewhere.tenants = Some([tenant("other")].into());
    let world = World::build(|_| {}, vec![elsewhere]).unwrap();
    world.refuses_claims(json!({}), TenantNotServed).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_times_are_numbers_and_nothing_else() {
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for bad in
            [json!("1800000300"), json!([NOW]), json!({}), json!(true), json!(""), json!(-1), json!(-0.5)]
        {
            refuses(json!({ name: bad }), invalid(name)).await;
        }
        for bad in ["1e18", "1e300", "18446744073709551615", "253402300800", "99999999999999999999999999"] {
            refuses_number(name, bad).await;
        }
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_an_expired_token_is_refused_cached_or_not() {
    refuses(json!({ "iat": NOW - 600, "exp": NOW - 60 }), Expired).await;
    let world = World::new();
    assert!(world.claimed(with(json!({ "iat": NOW - 600, "exp": NOW - 59 }))).await.is_ok());
    let token = world.es.token(&with(json!({})));
    assert!(world.assertion(&token).await.is_ok());
    world.clock.advance(Duration::from_secs(359));
    assert!(world.assertion(&token).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    world.refuses(&token, Expired).await;
    let error = world.assertion(&token).await.err().unwrap();
    assert_eq!(error.reason(), crate::domain::Reason::AssertionExpired);
}

/// Proves: ID5
#[tokio::test]
async fn id5_tokens_from_the_future_are_refused() {
    refuses(json!({ "iat": NOW + 61 }), IssuedInFuture).await;
    refuses(json!({ "iat": NOW as f64 + 60.5 }), IssuedInFuture).await;
    refuses(json!({ "nbf": NOW + 61 }), NotYetValid).await;
    let world = World::new();
    assert!(world.claimed(with(json!({ "iat": NOW + 60, "nbf": NOW + 60 }))).await.is_ok());
    // A remembered token is refused when the clock is put back.
    let token = world.es.token(&with(json!({})));
    assert!(world.assertion(&token).await.is_ok());
    world.clock.set_wall(Timestamp::from_unix_seconds(NOW - 600));
    world.refuses(&token, IssuedInFuture).await;
}

/// Proves: ID5
#[tokio::test]
async fn id5_a_lifetime_above_the_maximum_or_not_positive_is_refused() {
    refuses(json!({ "iat": NOW, "exp": NOW + 86_401 }), LifetimeTooLong).await;
    refuses(json!({ "iat": 0 }), LifetimeTooLong).await;
    refuses(json!({ "iat": NOW + 10, "exp": NOW + 10 }), LifetimeTooLong).await;
    refuses(json!({ "iat": NOW + 10, "exp": NOW }), LifetimeTooLong).await;
    assert!(World::new().claimed(with(json!({ "iat": NOW, "exp": NOW + 86_400 }))).await.is_ok());
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_login_after_the_token_was_made_is_refused() {
    refuses(json!({ "auth_time": NOW + 51 }), invalid("auth_time")).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_roles_are_a_list_of_strings_or_absent() {
    let name = "/realm_access/roles";
    for bad in [json!("admin"), json!([1]), json!(["a", null]), json!({}), json!([""]), json!(["a\nb"])] {
        refuses(json!({ "realm_access": { "roles": bad } }), invalid(name)).await;
    }
    let world = World::new();
    for absent in [json!({}), json!({ "realm_access": {} }), json!({ "realm_access": "admin" })] {
        assert!(world.claimed(with(absent)).await.unwrap().roles().is_empty());
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_required_claims_of_the_contract_are_checked() {
    let contract = |spec: &mut crate::identity::IssuerSpec| {
        spec.required_claims =
            BTreeMap::from([("hd".to_owned(), Some("example.com".to_owned())), ("amr".to_owned(), None)]);
    };
    let world = World::build(contract, vec![notes()]).unwrap();
    assert!(world.claimed(with(json!({ "hd": "example.com", "amr": ["mfa"] }))).await.is_ok());
    world.refuses_claims(json!({ "hd": "example.com" }), missing("amr")).await;
    world.refuses_claims(json!({ "hd": "evil.example", "amr": [] }), invalid("hd")).await;
    world.refuses_claims(json!({ "hd": ["example.com"], "amr": [] }), invalid("hd")).await;
}

/// Proves: ID16
#[tokio::test]
async fn id16_a_label_is_bounded_and_cannot_mislead() {
    let world = World::new();
    let seen = world.claimed(with(json!({ "name": "Al\u{202e}ice\n\u{200b}\u{7f} A" }))).await.unwrap();
    assert_eq!(seen.label(), "Alice A");
    let seen = world.claimed(with(json!({ "name": "é".repeat(1000) }))).await.unwrap();
    assert_eq!(seen.label().chars().count(), 200);
    let seen = world.claimed(with(json!({ "preferred_username": "alice" }))).await.unwrap();
    assert_eq!(seen.label(), "alice");
    // An e-mail address is not a name.
    let seen = world.claimed(with(json!({ "email": "alice@example.com" }))).await.unwrap();
    assert_eq!(seen.label(), "");
}

/// Proves: ID5
#[tokio::test]
async fn id5_errors_and_debug_output_hold_nothing_of_the_token() {
    let world = World::new();
    let token = world.es.token(&with(json!({ "sub": "canary-subject", "name": "canary-name" })));
    let seen = world.assertion(&token).await.unwrap();
    assert!(!format!("{seen:?}").contains("canary"));
    let error = world.claimed(with(json!({ "sub": "canary-subject", "exp": "canary" }))).await.err().unwrap();
    assert_eq!(error, IdentityError::Assertion(invalid("exp")));
    assert!(!format!("{error} {error:?}").contains("canary"));
}
