//! Several issuers side by side (ID6).

use super::{
    issuer::{Signer, jwks},
    world::{ISS, MAIL, NOTES, NOW, mail, notes, sso, tenant, with},
};
use crate::domain::{ManualClock, Timestamp};
use crate::identity::{
    Identity, IdentityConfigError, IdentityError, IssuerSpec, KeySource, TenantRule, TokenError::*,
    WorkloadSpec,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use url::Url;

fn build(issuers: Vec<IssuerSpec>, workloads: Vec<WorkloadSpec>) -> Result<Identity, IdentityConfigError> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
    Identity::new(issuers, workloads, &BTreeMap::new(), clock)
}

fn twin(name: &str, key: &Signer) -> IssuerSpec {
    let mut spec = sso(&[key.jwk()]);
    spec.name = name.to_owned();
    spec.broker_audience = None;
    spec
}

/// What `workload` accepts from the SSO, accepted from the issuer named instead.
fn from(name: &str, mut workload: WorkloadSpec) -> WorkloadSpec {
    let accepted = workload.accepts.remove("sso").unwrap();
    workload.accepts.insert(name.to_owned(), accepted);
    workload
}

/// Proves: ID6
#[test]
fn id6_equal_issuers_are_refused_unless_told_apart() {
    let (a, b) = (Signer::es256("k"), Signer::es256("k"));
    let alike = Some(IdentityConfigError::IssuersAlike("a".to_owned(), "b".to_owned()));
    let pair = || vec![twin("a", &a), twin("b", &b)];
    assert_eq!(build(pair(), vec![]).err(), alike);
    assert_eq!(build(pair(), vec![from("a", notes())]).err(), alike);
    assert_eq!(build(pair(), vec![from("a", notes()), from("b", mail())]).err(), None);
    let mut both = from("a", notes());
    both.accepts.extend(from("b", notes()).accepts);
    assert_eq!(build(pair(), vec![both]).err(), alike);
    let by_tenant = |values: [&str; 2]| {
        let mut issuers = pair();
        for (issuer, value) in issuers.iter_mut().zip(values) {
            let tenants = BTreeMap::from([(value.to_owned(), tenant("acme"))]);
            issuer.tenant = TenantRule::Claim { name: "tid".to_owned(), tenants };
        }
        build(issuers, vec![]).err()
    };
    assert_eq!(by_tenant(["1", "2"]), None);
    assert_eq!(by_tenant(["1", "1"]), alike);
}

/// Proves: ID6
#[tokio::test]
async fn id6_equal_issuers_are_chosen_by_audience_and_keep_their_own_keys() {
    let (a, b) = (Signer::es256("k"), Signer::es256("k"));
    let mut second = twin("b", &b);
    second.tenant = TenantRule::Fixed(tenant("other"));
    let identity = build(vec![twin("a", &a), second], vec![from("a", notes()), from("b", mail())]).unwrap();
    let secret = "Bearer bws_notes-notes-notes-notes-notes-notes-notes-n";
    let notes = identity.workload(Some(secret)).await.unwrap();
    let mail =
        identity.workload(Some("Bearer bws_mail-mail-mail-mail-mail-mail-mail-mail-mai")).await.unwrap();
    let (for_notes, for_mail) = (with(json!({})), with(json!({ "aud": MAIL })));
    let seen = identity.assertion(&a.token(&for_notes), &notes).await.unwrap();
    assert_eq!((seen.issuer_name(), seen.subject().tenant.as_str()), ("a", "acme"));
    let seen = identity.assertion(&b.token(&for_mail), &mail).await.unwrap();
    assert_eq!((seen.issuer_name(), seen.subject().tenant.as_str()), ("b", "other"));
    let refused = |error| Some(IdentityError::Assertion(error));
    assert_eq!(identity.assertion(&b.token(&for_notes), &notes).await.err(), refused(BadSignature));
    assert_eq!(identity.assertion(&b.token(&for_mail), &notes).await.err(), refused(AudienceNotAccepted));
    let both = a.token(&with(json!({ "aud": [NOTES, MAIL] })));
    assert_eq!(identity.assertion(&both, &notes).await.err(), refused(IssuerAmbiguous));
    let none = a.token(&with(json!({ "aud": "x" })));
    assert_eq!(identity.assertion(&none, &notes).await.err(), refused(AudienceNotAccepted));
}

/// Proves: ID6
#[tokio::test]
async fn id6_equal_issuers_are_chosen_by_tenant() {
    let (a, b) = (Signer::es256("k"), Signer::es256("k"));
    let by_tenant = |name: &str, key: &Signer, value: &str| {
        let mut spec = twin(name, key);
        let tenants = BTreeMap::from([(value.to_owned(), tenant(value))]);
        spec.tenant = TenantRule::Claim { name: "tid".to_owned(), tenants };
        spec
    };
    let mut server = from("a", notes());
    server.accepts.extend(from("b", notes()).accepts);
    let identity = build(vec![by_tenant("a", &a, "one"), by_tenant("b", &b, "two")], vec![server]).unwrap();
    let secret = "Bearer bws_notes-notes-notes-notes-notes-notes-notes-n";
    let notes = identity.workload(Some(secret)).await.unwrap();
    let seen = identity.assertion(&b.token(&with(json!({ "tid": "two" }))), &notes).await.unwrap();
    assert_eq!((seen.issuer_name(), seen.subject().tenant.as_str()), ("b", "two"));
    let refused = |error| Some(IdentityError::Assertion(error));
    let forged = a.token(&with(json!({ "tid": "two" })));
    assert_eq!(identity.assertion(&forged, &notes).await.err(), refused(BadSignature));
    let nowhere = a.token(&with(json!({ "tid": "three" })));
    assert_eq!(identity.assertion(&nowhere, &notes).await.err(), refused(TenantUnknown));
}

/// Proves: ID6
#[tokio::test]
async fn id6_equal_subjects_of_two_realms_are_two_people() {
    let (a, b) = (Signer::es256("a"), Signer::es256("b"));
    let mut second = twin("b", &b);
    second.issuer = "https://login.partner.example".to_owned();
    second.realm = crate::domain::RealmId::parse("partners").unwrap();
    let mut server = from("a", notes());
    server.accepts.extend(from("b", notes()).accepts);
    let identity = build(vec![twin("a", &a), second], vec![server]).unwrap();
    let secret = "Bearer bws_notes-notes-notes-notes-notes-notes-notes-n";
    let notes = identity.workload(Some(secret)).await.unwrap();
    let ours = identity.assertion(&a.token(&with(json!({}))), &notes).await.unwrap();
    let foreign = with(json!({ "iss": "https://login.partner.example" }));
    let theirs = identity.assertion(&b.token(&foreign), &notes).await.unwrap();
    assert_eq!(ours.subject().id, theirs.subject().id);
    assert_ne!(ours.subject(), theirs.subject());
    // One issuer's key does not sign for another.
    let forged = identity.assertion(&a.token(&foreign), &notes).await;
    assert_eq!(forged.err(), Some(IdentityError::Assertion(UnknownKey)));
}

/// Proves: ID3, ID5, ID7
#[test]
fn id5_contracts_out_of_bounds_are_refused() {
    let key = Signer::es256("k");
    let problem = |change: &dyn Fn(&mut IssuerSpec)| {
        let mut spec = sso(&[key.jwk()]);
        change(&mut spec);
        match build(vec![spec], vec![]).err() {
            Some(IdentityConfigError::Issuer { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(problem(&|s| s.skew = Duration::from_secs(61)), "the skew is above 60 s");
    assert_eq!(problem(&|s| s.algorithms.clear()), "no algorithm is allowed");
    assert_eq!(problem(&|s| s.issuer.clear()), "name and iss must not be empty");
    assert_eq!(problem(&|s| s.subject.0.clear()), "no subject claim is named");
    assert_eq!(problem(&|s| s.max_lifetime = Duration::ZERO), "the maximum lifetime is zero");
    assert_eq!(problem(&|s| s.key_times.max_age = Duration::from_secs(1)), "refresh_after is above max_age");
    assert_eq!(problem(&|s| s.key_times.min_interval = Duration::ZERO), "a fetch interval is zero");
    assert_eq!(problem(&|s| s.keys = KeySource::Discovery), "nothing can fetch its keys");
    for bad in
        ["http://sso.example.com", "urn:sso", "https://u:p@sso.example.com", "https://sso.example.com?x=1"]
    {
        let discovered = problem(&|s| {
            s.issuer = bad.to_owned();
            s.keys = KeySource::Discovery;
        });
        assert_eq!(discovered, "iss is not an https URL, so its keys cannot be discovered", "{bad}");
    }
    let plain = Url::parse("http://10.0.0.1/jwks").unwrap();
    let insecure = problem(&|s| s.keys = KeySource::JwksUri(plain.clone()));
    assert_eq!(insecure, "the jwks_uri is neither https nor http to this machine");
    let mut other = sso(&[key.jwk()]);
    other.issuer = format!("{ISS}/other");
    let twice = build(vec![sso(&[key.jwk()]), other], vec![]).err();
    assert_eq!(twice, Some(IdentityConfigError::IssuerNameTwice("sso".to_owned())));
    let mut html = sso(&[]);
    html.keys = KeySource::Static(jwks(&[json!({})]));
    assert!(matches!(build(vec![html], vec![]).err(), Some(IdentityConfigError::StaticKeys { .. })));
}
