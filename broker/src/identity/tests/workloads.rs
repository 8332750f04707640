//! How workloads prove who they are (ID1, ID2).

use super::{
    issuer::{Signer, jwks},
    world::{BROKER, NOW, World, claims, mail, notes, realm, set, tenant, with},
};
use crate::domain::{ExposeSecret, ManualClock, Reason, SystemRng, Timestamp};
use crate::identity::{
    Algorithm, CredentialKind, CredentialSpec, Identity, IdentityConfigError, IdentityError, IssuerSpec,
    KeySource, SECRET_PREFIX, StaticSecret, TenantRule, TokenError, WorkloadSpec,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:tools:notes";

/// Proves: ID1, ID2
#[tokio::test]
async fn id1_a_missing_malformed_or_unknown_credential_is_refused() {
    let world = World::new();
    let refused = async |value: Option<&str>| world.identity.workload(value).await.err().unwrap();
    assert_eq!(refused(None).await, IdentityError::CredentialMissing);
    assert_eq!(refused(None).await.reason(), Reason::WorkloadCredentialMissing);
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Basic bm90ZXM6eA==",
        "bws_x",
        "Bearer  x",
        "Bearer a b",
        "Bearer a\n",
        "Bearer é",
    ] {
        let error = refused(Some(bad)).await;
        assert_eq!(error, IdentityError::CredentialMalformed, "{bad:?}");
        assert_eq!(error.reason(), Reason::WorkloadCredentialInvalid);
    }
    for unknown in
        ["Bearer bws_", "Bearer bws_notes", "Bearer bws_NOTES-notes-notes-notes-notes-notes-notes-n"]
    {
        assert_eq!(refused(Some(unknown)).await, IdentityError::CredentialUnknown);
    }
    let malformed = TokenError::Malformed("it does not have three parts");
    assert_eq!(refused(Some("Bearer opaque")).await, IdentityError::Credential(malformed));
}

/// Proves: ID2, ID16
#[tokio::test]
async fn id2_static_secrets_rotate_with_overlap_and_expire() {
    let rng = SystemRng::default();
    let (old, new) = (StaticSecret::generate(&rng), StaticSecret::generate(&rng));
    assert!(old.secret.expose_secret().starts_with(SECRET_PREFIX));
    assert_eq!(StaticSecret::hash(old.secret.expose_secret()), old.sha256);
    let mut server = notes();
    let end = Timestamp::from_unix_seconds(NOW + 60);
    server.credentials = vec![
        CredentialSpec::StaticSecret { sha256: old.sha256, not_after: Some(end) },
        CredentialSpec::StaticSecret { sha256: new.sha256, not_after: None },
    ];
    let world = World::build(|_| {}, vec![server, mail()]).unwrap();
    let show = async |secret: &StaticSecret| {
        world.identity.workload(Some(&format!("bearer {}", secret.secret.expose_secret()))).await
    };
    let seen = show(&old).await.unwrap();
    assert_eq!((seen.id().as_str(), seen.display_name()), ("notes", "The notes server"));
    assert_eq!((seen.kind(), seen.expires_at()), (CredentialKind::StaticSecret, Some(end)));
    assert_eq!(show(&new).await.unwrap().expires_at(), None);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(show(&old).await.err(), Some(IdentityError::CredentialExpired));
    assert!(show(&new).await.is_ok());
    assert!(!format!("{:?}", seen.spec()).contains(&format!("{:?}", old.sha256)));
}

struct Cluster {
    key: Signer,
    user: Signer,
    identity: Identity,
}

fn cluster() -> Cluster {
    let (key, user) = (Signer::rs256("k8s"), Signer::es256("es"));
    let keys = KeySource::Static(jwks(&[key.jwk()]));
    let fixed = TenantRule::Fixed(tenant("acme"));
    let spec = IssuerSpec::new("cluster", CLUSTER, realm(), fixed, vec![Algorithm::Rs256], keys);
    let mut server = notes();
    server.credentials = vec![CredentialSpec::Jwt {
        issuer: "cluster".to_owned(),
        audience: "broker".to_owned(),
        subject: SUBJECT.to_owned(),
    }];
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
    let issuers = vec![spec, super::world::sso(&[user.jwk()])];
    let identity = Identity::new(issuers, vec![server], &BTreeMap::new(), clock).unwrap();
    Cluster { key, user, identity }
}

fn service_account(changes: Value) -> Value {
    let mut claims = json!({ "iss": CLUSTER, "sub": SUBJECT, "aud": ["broker"], "iat": NOW, "nbf": NOW,
        "exp": NOW + 3600, "kubernetes.io": { "namespace": "tools", "pod": { "name": "notes-0" } } });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

/// Proves: ID2
#[tokio::test]
async fn id2_a_service_account_token_is_accepted_by_issuer_audience_and_subject() {
    let cluster = cluster();
    let show = async |changes: Value| {
        let token = cluster.key.raw(r#"{"alg":"RS256","kid":"k8s"}"#, &service_account(changes).to_string());
        cluster.identity.workload(Some(&format!("Bearer {token}"))).await
    };
    let refused = |error| Some(IdentityError::Credential(error));
    let seen = show(json!({})).await.unwrap();
    assert_eq!((seen.id().as_str(), seen.kind()), ("notes", CredentialKind::Jwt));
    assert_eq!(seen.expires_at(), Some(Timestamp::from_unix_seconds(NOW + 3600)));
    let other = json!({ "sub": "system:serviceaccount:tools:notes2" });
    assert_eq!(show(other).await.err(), refused(TokenError::WorkloadUnknown));
    let api = json!({ "aud": ["https://kubernetes.default.svc"] });
    assert_eq!(show(api).await.err(), refused(TokenError::AudienceNotAccepted));
    let both = json!({ "aud": ["broker", "https://kubernetes.default.svc"] });
    assert_eq!(show(both).await.err(), refused(TokenError::AudienceExtra));
    assert_eq!(show(json!({ "exp": NOW - 60, "iat": NOW - 600 })).await.err(), refused(TokenError::Expired));
    assert_eq!(show(json!({ "iss": "https://x" })).await.err(), refused(TokenError::IssuerUnknown));
    assert_eq!(refused(TokenError::IssuerUnknown).unwrap().reason(), Reason::WorkloadCredentialInvalid);
}

/// Proves: ID1, ID15
#[tokio::test]
async fn id1_assertions_and_workload_tokens_are_not_interchangeable() {
    let cluster = cluster();
    let own = cluster.key.token(&service_account(json!({})));
    let workload = cluster.identity.workload(Some(&format!("Bearer {own}"))).await.unwrap();
    let as_assertion = cluster.identity.assertion(&own, &workload).await;
    assert_eq!(as_assertion.err(), Some(IdentityError::Assertion(TokenError::AudienceNotAccepted)));
    let alice = cluster.user.token(&claims());
    assert!(cluster.identity.assertion(&alice, &workload).await.is_ok());
    let as_workload = cluster.identity.workload(Some(&format!("Bearer {alice}"))).await;
    assert_eq!(as_workload.err(), Some(IdentityError::Credential(TokenError::WorkloadUnknown)));
    let named = cluster.user.token(&with(json!({ "sub": SUBJECT, "aud": "broker" })));
    let forged = cluster.identity.workload(Some(&format!("Bearer {named}"))).await;
    assert_eq!(forged.err(), Some(IdentityError::Credential(TokenError::WorkloadUnknown)));
}

/// Proves: ID1, ID15
#[tokio::test]
async fn id1_a_workloads_own_token_speaks_for_no_person() {
    const BOT: &str = "service-account-notes";
    let mut server = notes();
    server.credentials.push(CredentialSpec::Jwt {
        issuer: "sso".to_owned(),
        audience: BROKER.to_owned(),
        subject: BOT.to_owned(),
    });
    let world = World::build(|_| {}, vec![server]).unwrap();
    let refused = Some(IdentityError::Assertion(TokenError::NotAPerson));
    let named = world.es.token(&with(json!({ "sub": BOT, "aud": BROKER, "azp": "notes-client" })));
    let workload = world.identity.workload(Some(&format!("Bearer {named}"))).await.unwrap();
    assert_eq!(world.identity.assertion(&named, &workload).await.err(), refused);
    let bare = world.es.token(&with(json!({ "sub": BOT, "aud": BROKER })));
    assert_eq!(world.identity.person(&bare).await.err(), refused);
    let login = world.es.token(&with(json!({ "sub": BOT, "aud": "pages", "nonce": "n" })));
    assert_eq!(world.identity.login("sso", &login, "pages", "n").await.err(), refused);
}

/// Servers move these futures between threads.
#[tokio::test]
async fn verification_can_run_on_any_thread() {
    fn movable<T: Send>(value: T) -> T {
        value
    }
    let world = World::new();
    let workload = movable(world.identity.workload(Some("x"))).await;
    assert!(workload.is_err());
    let notes = world.notes().await;
    assert!(movable(world.identity.assertion("x", &notes)).await.is_err());
    assert!(movable(world.identity.person("x")).await.is_err());
    assert!(movable(world.identity.login("sso", "x", "c", "n")).await.is_err());
    assert!(movable(world.identity.warm()).await.is_empty());
}

/// Proves: ID2
#[test]
fn id2_workloads_that_could_be_taken_for_one_another_are_refused() {
    let build = |second: WorkloadSpec| World::build(|_| {}, vec![notes(), second]).err();
    let shared = |what| {
        let (first, second) = (notes().id, mail().id);
        Some(IdentityConfigError::Shared { first, second, what })
    };
    let mut same_secret = mail();
    same_secret.credentials = notes().credentials;
    assert_eq!(build(same_secret), shared("a static secret"));
    assert_eq!(build(notes()), Some(IdentityConfigError::WorkloadTwice(notes().id)));
    let nowhere = |workload| IdentityConfigError::NoSuchIssuer { workload, issuer: "nowhere".to_owned() };
    let mut stray = mail();
    stray.accepts.insert("nowhere".to_owned(), Default::default());
    assert_eq!(build(stray), Some(nowhere(mail().id)));
    let jwt = |issuer: &str| CredentialSpec::Jwt {
        issuer: issuer.to_owned(),
        audience: "broker".to_owned(),
        subject: SUBJECT.to_owned(),
    };
    let mut stray = mail();
    stray.credentials = vec![jwt("nowhere")];
    assert_eq!(build(stray), Some(nowhere(mail().id)));
    let (mut one, mut two) = (notes(), mail());
    one.credentials = vec![jwt("sso")];
    two.credentials = vec![jwt("sso")];
    assert_eq!(World::build(|_| {}, vec![one, two]).err(), shared("a token identity"));
    let mut unserved = mail();
    unserved.roles = set(&["x"]).into();
    assert_eq!(build(unserved), None);
}
