//! Assertions that are good for one use (ID12).

use super::{
    issuer::Signer,
    world::{BROKER, NOW, World, missing, notes, server, sso, with},
};
use crate::domain::{AssertionUse, ManualClock, Timestamp, sha256};
use crate::identity::{Acceptance, Identity, TokenError, WorkloadSpec};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

fn one_time() -> World {
    World::build(|spec| spec.one_time_assertions = true, vec![notes()]).unwrap()
}

async fn used_by(world: &World, claims: Value) -> AssertionUse {
    world.claimed(claims).await.unwrap().one_time().unwrap().clone()
}

/// Proves: ID12
#[tokio::test]
async fn id12_what_is_used_up_is_the_same_whether_the_signature_was_seen_before_or_not() {
    let world = one_time();
    let token = world.es.token(&with(json!({ "jti": "j1" })));
    let seen = || world.identity.remembers(&sha256(token.as_bytes()));
    assert!(!seen());
    let first = world.assertion(&token).await.unwrap();
    assert!(seen());
    let second = world.assertion(&token).await.unwrap();
    let used = first.one_time().unwrap();
    assert_eq!(second.one_time(), Some(used));
    // Another signature over the same `jti`, as whoever holds an ECDSA signature can make one: the same use.
    let again = world.es.token(&with(json!({ "jti": "j1" })));
    assert_ne!(again, token);
    assert_eq!(world.assertion(&again).await.unwrap().one_time(), Some(used));
    assert_ne!(used_by(&world, with(json!({ "jti": "j2" }))).await.key, used.key);
}

/// It is accepted until `exp` and the skew are over by the broker's clock, and forgotten by the database's.
///
/// Proves: ID12
#[tokio::test]
async fn id12_a_use_is_remembered_for_longer_than_the_assertion_is_accepted() {
    let world = one_time();
    let token = world.es.token(&with(json!({ "jti": "j1" })));
    let used = world.assertion(&token).await.unwrap().one_time().unwrap().clone();
    let (end, skew) = (Timestamp::from_unix_seconds(NOW + 300), Duration::from_secs(60));
    assert_eq!(used.expires_at, end.plus(skew).plus(Duration::from_secs(600)));
    world.clock.set_wall(end.plus(skew));
    world.refuses(&token, TokenError::Expired).await;
}

/// The second time it is refused from memory.
///
/// Proves: ID12
#[tokio::test]
async fn id12_an_assertion_without_jti_is_refused_seen_before_or_not() {
    let world = one_time();
    world.refuses(&world.es.token(&with(json!({}))), missing("jti")).await;
}

/// Proves: ID12
#[tokio::test]
async fn id12_other_tokens_of_the_issuer_may_be_used_again() {
    let world = one_time();
    let person = world.es.token(&with(json!({ "aud": BROKER })));
    assert_eq!(world.identity.person(&person).await.unwrap().one_time(), None);
    let person = world.es.token(&with(json!({ "aud": BROKER, "jti": "j1" })));
    assert_eq!(world.identity.person(&person).await.unwrap().one_time(), None);
    let id_token = world.es.token(&with(json!({ "aud": "pages", "nonce": "n" })));
    assert_eq!(world.identity.login("sso", &id_token, "pages", "n").await.unwrap().one_time(), None);
}

/// Proves: ID12
#[tokio::test]
async fn id12_an_issuer_that_does_not_ask_for_it_is_served_as_ever() {
    let world = World::new();
    assert_eq!(world.claimed(with(json!({ "jti": "j1" }))).await.unwrap().one_time(), None);
    assert_eq!(world.claimed(with(json!({}))).await.unwrap().one_time(), None);
}

/// Proves: ID12
#[tokio::test]
async fn id12_the_same_jti_of_two_issuers_is_two_assertions() {
    let (here, there) = (Signer::es256("k"), Signer::es256("k"));
    let issuer = |name: &str, iss: &str, key: &Signer| {
        let mut spec = sso(&[key.jwk()]);
        (spec.name, spec.issuer) = (name.to_owned(), iss.to_owned());
        spec.one_time_assertions = true;
        spec
    };
    let issuers =
        vec![issuer("sso", super::world::ISS, &here), issuer("other", "https://other.example.com", &there)];
    let accepts: BTreeMap<String, Acceptance> =
        ["sso", "other"].map(|name| (name.to_owned(), notes().accepts["sso"].clone())).into();
    let secret = "bws_once-once-once-once-once-once-once-once-onc";
    let workload = WorkloadSpec { accepts, ..server("notes", secret, super::world::NOTES) };
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
    let identity = Identity::new(issuers, vec![workload], &BTreeMap::new(), clock).unwrap();
    let caller = identity.workload(Some(&format!("Bearer {secret}"))).await.unwrap();
    let one = identity.assertion(&here.token(&with(json!({ "jti": "j1" }))), &caller).await.unwrap();
    let claims = with(json!({ "jti": "j1", "iss": "https://other.example.com" }));
    let two = identity.assertion(&there.token(&claims), &caller).await.unwrap();
    assert_ne!(one.one_time().unwrap().key, two.one_time().unwrap().key);
}
