//! Logout tokens that say the wrong things, and tokens that are none.

use super::{
    issuer::{Signer, encode},
    world::{ISS, NOW, World, invalid, missing, sso, tenant},
};
use crate::{
    domain::{Clock, LoggedOut, ManualClock, Reason, Timestamp},
    identity::{
        Identity, IdentityError, IssuerSpec, SubjectClaims, TenantRule,
        TokenError::{self, *},
        VerifiedLogout,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const PAGES: &str = "broker-pages";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A right logout token's claims with some members replaced; `null` removes one.
fn with(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISS, "aud": PAGES, "iat": NOW - 1, "exp": NOW + 120, "jti": "j1", "sid": "s1", "sub": "alice",
        "events": { EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

async fn told(world: &World, token: &str) -> Result<VerifiedLogout, TokenError> {
    world.identity.logout("sso", token, PAGES).await.map_err(|error| match error {
        IdentityError::LogoutToken(error) => error,
        other => panic!("{other:?}"),
    })
}

async fn refuses(changes: Value, error: TokenError) {
    let world = World::new();
    assert_eq!(told(&world, &world.es.token(&with(changes.clone()))).await.err(), Some(error), "{changes}");
}

async fn accepts(changes: Value) -> VerifiedLogout {
    let world = World::new();
    told(&world, &world.es.token(&with(changes))).await.unwrap()
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_right_logout_token_names_the_session_the_person_or_both() {
    let both = accepts(json!({ "events": { EVENT: {}, "urn:other": 7 } })).await;
    assert_eq!((both.names().tenant.as_str(), both.names().realm.as_str()), ("acme", "people"));
    assert_eq!(both.names().issuer, ISS);
    let session = |subject: Option<&str>| LoggedOut::Session {
        sid: "s1".to_owned(),
        subject: subject.map(str::to_owned),
    };
    assert!(both.names().who == session(Some("alice")));
    assert_eq!(both.until(), Timestamp::from_unix_seconds(NOW + 59), "iat and the skew");
    assert!(accepts(json!({ "sub": null })).await.names().who == session(None));
    let person = LoggedOut::Person { subject: "alice".to_owned() };
    assert!(accepts(json!({ "sid": null, "exp": null })).await.names().who == person);
    assert!(!format!("{both:?} {:?}", both.names()).contains("alice"), "nobody's name is printed");
}

/// Proves: CO16
#[tokio::test]
async fn co16_issuer_and_audience_are_those_of_the_pages_login() {
    refuses(json!({ "iss": "https://evil.example" }), IssuerUnknown).await;
    refuses(json!({ "iss": format!("{ISS}/") }), IssuerUnknown).await;
    refuses(json!({ "iss": null }), missing("iss")).await;
    refuses(json!({ "aud": "notes-client" }), AudienceNotAccepted).await;
    refuses(json!({ "aud": [PAGES, "notes-client"] }), AudienceExtra).await;
    refuses(json!({ "aud": null }), missing("aud")).await;
    refuses(json!({ "aud": [] }), invalid("aud")).await;
    refuses(json!({ "azp": "notes-client" }), ClientNotAccepted).await;
    accepts(json!({ "aud": [PAGES] })).await;
    let world = World::new();
    let elsewhere = world.identity.logout("nobody", &world.es.token(&with(json!({}))), PAGES).await;
    assert_eq!(elsewhere.err(), Some(IdentityError::LogoutToken(IssuerUnknown)));
}

/// Proves: CO16
#[tokio::test]
async fn co16_the_event_must_be_there_and_a_nonce_must_not() {
    refuses(json!({ "events": null }), missing("events")).await;
    for bad in [json!([EVENT]), json!(EVENT), json!({}), json!({ "urn:other": {} }), json!({ EVENT: true })] {
        refuses(json!({ "events": bad }), invalid("events")).await;
    }
    refuses(json!({ "nonce": "n" }), invalid("nonce")).await;
    refuses(json!({ "nonce": 7 }), invalid("nonce")).await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_somebody_must_be_named_and_the_token_too() {
    refuses(json!({ "sid": null, "sub": null }), missing("sub")).await;
    refuses(json!({ "sid": "" }), invalid("sid")).await;
    refuses(json!({ "sid": 7 }), invalid("sid")).await;
    refuses(json!({ "sub": "" }), invalid("sub")).await;
    refuses(json!({ "sub": "x".repeat(256) }), invalid("sub")).await;
    refuses(json!({ "jti": null }), missing("jti")).await;
    refuses(json!({ "jti": "" }), invalid("jti")).await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_stale_or_future_logout_token_is_refused() {
    refuses(json!({ "iat": null }), missing("iat")).await;
    refuses(json!({ "iat": "now" }), invalid("iat")).await;
    refuses(json!({ "iat": NOW - 360, "exp": null }), TooOld).await;
    accepts(json!({ "iat": NOW - 359, "exp": null })).await;
    refuses(json!({ "iat": NOW + 61 }), IssuedInFuture).await;
    refuses(json!({ "nbf": NOW + 61 }), NotYetValid).await;
    refuses(json!({ "iat": NOW - 200, "exp": NOW - 60 }), Expired).await;
    refuses(json!({ "exp": NOW - 1 }), invalid("exp")).await;
    refuses(json!({ "exp": "soon" }), invalid("exp")).await;
}

/// Proves: CO16, ID5
#[tokio::test]
async fn co16_form_type_algorithm_and_signature_are_as_strict_as_elsewhere() {
    let world = World::new();
    let payload = with(json!({})).to_string();
    let header = world.es.header().to_string();
    let doubled = payload.replacen('{', r#"{"sid":"s2","#, 1);
    assert_eq!(told(&world, &world.es.raw(&header, &doubled)).await.err(), Some(DuplicateMember));
    let inside = payload.replace(r#"":{}"#, &format!(r#"":{{}},"{EVENT}":{{}}"#));
    assert_eq!(told(&world, &world.es.raw(&header, &inside)).await.err(), Some(DuplicateMember));
    let none = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&payload));
    assert_eq!(told(&world, &none).await.err(), Some(AlgorithmNotAllowed));
    let stranger = Signer::es256("es");
    assert_eq!(told(&world, &stranger.token(&with(json!({})))).await.err(), Some(BadSignature));
    assert_eq!(told(&world, &"a".repeat(17_000)).await.err(), Some(TooLarge));
    for (typ, right) in [
        ("logout+jwt", true),
        ("application/logout+jwt", true),
        ("JWT", true),
        ("at+jwt", false),
        ("x", false),
    ] {
        let header = json!({ "alg": "ES256", "kid": "es", "typ": typ }).to_string();
        let outcome = told(&world, &world.es.raw(&header, &payload)).await.err();
        assert_eq!(outcome, (!right).then_some(TypeNotAllowed), "{typ}");
    }
    assert!(told(&world, &world.es.raw(r#"{"alg":"ES256","kid":"es"}"#, &payload)).await.is_ok());
}

/// Proves: CO16, ID4
#[tokio::test]
async fn co16_an_id_token_is_no_logout_token_and_a_logout_token_nothing_else() {
    let world = World::new();
    let id_token = json!({
        "iss": ISS, "sub": "alice", "aud": PAGES, "nonce": "n", "sid": "s1", "iat": NOW, "exp": NOW + 300, "jti": "j",
    });
    let id_token = world.es.token(&id_token);
    assert!(world.identity.login("sso", &id_token, PAGES, "n").await.is_ok());
    // Even remembered as verified.
    assert_eq!(told(&world, &id_token).await.err(), Some(missing("events")));

    let as_assertion = with(json!({ "aud": super::world::NOTES }));
    world.refuses(&world.es.token(&as_assertion), invalid("events")).await;
    let logout = world.es.token(&with(json!({})));
    assert!(told(&world, &logout).await.is_ok());
    let login = world.identity.login("sso", &logout, PAGES, "n").await;
    assert_eq!(login.err(), Some(IdentityError::Assertion(invalid("events"))));
    let with_nonce = world.es.token(&with(json!({ "nonce": "n" })));
    let login = world.identity.login("sso", &with_nonce, PAGES, "n").await;
    assert_eq!(login.err(), Some(IdentityError::Assertion(invalid("events"))));
    let person = world.es.token(&with(json!({ "aud": super::world::BROKER })));
    assert_eq!(world.identity.person(&person).await.err(), Some(IdentityError::Assertion(invalid("events"))));
}

/// Proves: CO16, ID6
#[tokio::test]
async fn co16_where_people_are_not_known_by_sub_only_a_sid_names_a_session() {
    let by_oid = |spec: &mut IssuerSpec| spec.subject = SubjectClaims(vec!["tid".into(), "oid".into()]);
    let world = World::build(by_oid, Vec::new()).unwrap();
    let seen = told(&world, &world.es.token(&with(json!({})))).await.unwrap();
    assert!(seen.names().who == LoggedOut::Session { sid: "s1".to_owned(), subject: None });
    let only_sub = with(json!({ "sid": null, "tid": "t", "oid": "o" }));
    assert_eq!(told(&world, &world.es.token(&only_sub)).await.err(), Some(missing("sid")));
}

/// Proves: CO16, ID6
#[tokio::test]
async fn co16_a_token_reaches_its_own_tenant_and_issuer_alone() {
    let by_claim = |spec: &mut IssuerSpec| {
        let tenants = BTreeMap::from([("a".into(), tenant("acme")), ("b".into(), tenant("bank"))]);
        spec.tenant = TenantRule::Claim { name: "tid".to_owned(), tenants };
    };
    let world = World::build(by_claim, Vec::new()).unwrap();
    let seen = told(&world, &world.es.token(&with(json!({ "tid": "a" })))).await.unwrap();
    assert_eq!(seen.names().tenant, tenant("acme"));
    assert_eq!(told(&world, &world.es.token(&with(json!({})))).await.err(), Some(missing("tid")));
    assert_eq!(told(&world, &world.es.token(&with(json!({ "tid": "c" })))).await.err(), Some(TenantUnknown));

    // Another configured issuer, of the same realm and with keys of its own.
    let (ours, theirs) = (Signer::es256("es"), Signer::es256("es"));
    let mut other = sso(&[theirs.jwk()]);
    (other.name, other.issuer) = ("other".to_owned(), "https://other.example".to_owned());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
    let specs = vec![sso(&[ours.jwk()]), other];
    let identity = Identity::new(specs, Vec::new(), &BTreeMap::new(), clock).unwrap();
    let token = theirs.token(&with(json!({ "iss": "https://other.example" })));
    assert_eq!(
        identity.logout("other", &token, PAGES).await.unwrap().names().issuer,
        "https://other.example"
    );
    let refused = |error| Some(IdentityError::LogoutToken(error));
    assert_eq!(identity.logout("sso", &token, PAGES).await.err(), refused(IssuerUnknown));
    let forged = theirs.token(&with(json!({})));
    assert_eq!(identity.logout("sso", &forged, PAGES).await.err(), refused(BadSignature));
    assert_eq!(identity.logout("other", &forged, PAGES).await.err(), refused(IssuerUnknown));
    let reason = |error| IdentityError::LogoutToken(error).reason();
    assert_eq!(reason(BadSignature), Reason::AssertionInvalid);
    assert_eq!(reason(KeysUnavailable), Reason::IssuerUnavailable);
}
