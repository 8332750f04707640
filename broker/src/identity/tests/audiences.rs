//! For whom a token was minted (ID4, ID10, ID17).

use super::world::{BROKER, MAIL, NOTES, World, invalid, mail, notes, set, with};
use crate::domain::Reason;
use crate::identity::{
    IdentityConfigError, IdentityError,
    TokenError::{self, *},
};
use serde_json::{Value, json};

async fn refuses(changes: Value, error: TokenError) {
    World::new().refuses_claims(changes, error).await;
}

/// Proves: ID10
#[tokio::test]
async fn id10_an_assertion_for_another_server_is_refused_cached_or_not() {
    let world = World::new();
    let token = world.es.token(&with(json!({ "aud": MAIL })));
    world.refuses(&token, AudienceNotAccepted).await;
    assert!(world.identity.assertion(&token, &world.mail().await).await.is_ok());
    let error = world.assertion(&token).await.err().unwrap();
    assert_eq!(error, IdentityError::Assertion(AudienceNotAccepted));
    assert_eq!(error.reason(), Reason::AssertionAudience);
}

/// Proves: ID4
#[tokio::test]
async fn id4_parts_and_relatives_of_the_audience_are_not_the_audience() {
    for aud in [
        "https://notes.example.com",
        "https://notes.example.com/mcp/",
        "https://notes.example.com/mcp2",
        "mcp",
    ] {
        refuses(json!({ "aud": aud }), AudienceNotAccepted).await;
    }
    refuses(json!({ "aud": NOTES.to_uppercase() }), AudienceNotAccepted).await;
    refuses(json!({ "aud": format!("{NOTES} {MAIL}") }), AudienceNotAccepted).await;
}

/// Proves: ID4
#[tokio::test]
async fn id4_further_audiences_are_refused_unless_listed() {
    refuses(json!({ "aud": [NOTES, MAIL], "azp": "notes-client" }), AudienceExtra).await;
    refuses(json!({ "aud": [MAIL, NOTES], "azp": "notes-client" }), AudienceExtra).await;
    refuses(json!({ "aud": [NOTES, "https://evil.example"], "azp": "notes-client" }), AudienceExtra).await;
    refuses(json!({ "aud": ["account"] }), AudienceNotAccepted).await;
    let listed = with(json!({ "aud": [NOTES, "account"], "azp": "notes-client" }));
    assert!(World::new().claimed(listed).await.is_ok());
}

/// Proves: ID4
#[tokio::test]
async fn id4_an_audience_of_the_wrong_type_is_refused() {
    for bad in [
        json!([]),
        json!(""),
        json!([""]),
        json!([NOTES, 1]),
        json!(1),
        json!({ NOTES: true }),
        json!([[NOTES]]),
    ] {
        refuses(json!({ "aud": bad }), invalid("aud")).await;
    }
}

/// Proves: ID4
#[tokio::test]
async fn id4_several_audiences_need_a_client_that_is_named() {
    refuses(json!({ "aud": [NOTES, "account"] }), ClientNotAccepted).await;
    refuses(json!({ "aud": [NOTES, "account"], "azp": "mail-client" }), ClientNotAccepted).await;
}

/// Proves: ID4, ID17
#[tokio::test]
async fn id17_a_named_client_must_be_one_that_is_declared() {
    refuses(json!({ "azp": "evil-agent" }), ClientNotAccepted).await;
    refuses(json!({ "client_id": "evil-agent" }), ClientNotAccepted).await;
    refuses(json!({ "azp": "notes-client", "client_id": "evil-agent" }), invalid("client_id")).await;
    refuses(json!({ "azp": 7 }), invalid("azp")).await;
    let seen = World::new().claimed(with(json!({ "client_id": "notes-client" }))).await.unwrap();
    assert_eq!(seen.client_id(), Some("notes-client"));
}

/// Proves: ID17
#[tokio::test]
async fn id17_where_agents_are_declared_a_token_must_name_one() {
    let mut server = notes();
    server.accepts.get_mut("sso").unwrap().agents = set(&["chat-agent"]);
    let world = World::build(|_| {}, vec![server]).unwrap();
    let seen = world.claimed(with(json!({ "azp": "chat-agent" }))).await.unwrap();
    assert_eq!(seen.client_id(), Some("chat-agent"));
    world.refuses_claims(json!({ "azp": "other-agent" }), ClientNotAccepted).await;
    world.refuses_claims(json!({}), ClientNotAccepted).await;
}

/// Proves: ID4, ID10
#[tokio::test]
async fn id4_the_brokers_own_audience_needs_the_workloads_client() {
    refuses(json!({ "aud": BROKER }), AudienceNotAccepted).await;
    refuses(json!({ "aud": BROKER, "azp": "mail-client" }), AudienceNotAccepted).await;
    refuses(json!({ "aud": BROKER, "act": { "sub": "mail-client" } }), AudienceNotAccepted).await;
    refuses(json!({ "aud": BROKER, "act": "notes-client" }), invalid("act")).await;
    refuses(json!({ "aud": BROKER, "act": { "sub": 1 } }), invalid("act")).await;
    let world = World::new();
    for named in [
        json!({ "azp": "notes-client" }),
        json!({ "client_id": "notes-client" }),
        json!({ "act": { "sub": "notes-client" } }),
    ] {
        let mut claims = with(named);
        claims["aud"] = BROKER.into();
        let token = world.es.token(&claims);
        assert!(world.assertion(&token).await.is_ok());
        let other = world.identity.assertion(&token, &world.mail().await).await;
        assert_eq!(other.err(), Some(IdentityError::Assertion(AudienceNotAccepted)));
    }
}

async fn person(changes: Value) -> Result<(), TokenError> {
    let world = World::new();
    let mut claims = with(json!({ "aud": BROKER }));
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    match world.identity.person(&world.es.token(&claims)).await {
        Ok(_) => Ok(()),
        Err(IdentityError::Assertion(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// Proves: ID1, ID10
#[tokio::test]
async fn id10_a_workload_cannot_act_as_the_user_on_the_brokers_own_interfaces() {
    assert_eq!(person(json!({})).await, Ok(()));
    assert_eq!(person(json!({ "azp": "broker-cli" })).await, Ok(()));
    assert_eq!(person(json!({ "azp": BROKER })).await, Ok(()));
    assert_eq!(person(json!({ "aud": [BROKER, "account"], "azp": "broker-cli" })).await, Ok(()));
    assert_eq!(person(json!({ "azp": "notes-client" })).await, Err(ClientNotAccepted));
    assert_eq!(person(json!({ "azp": "unknown" })).await, Err(ClientNotAccepted));
    assert_eq!(person(json!({ "act": { "sub": "notes-client" } })).await, Err(ClientNotAccepted));
    assert_eq!(person(json!({ "aud": [BROKER, "account"] })).await, Err(ClientNotAccepted));
    assert_eq!(person(json!({ "aud": [BROKER, NOTES], "azp": "broker-cli" })).await, Err(AudienceExtra));
    assert_eq!(person(json!({ "aud": NOTES })).await, Err(AudienceNotAccepted));
}

/// Proves: ID1
#[tokio::test]
async fn id1_without_a_broker_audience_no_person_is_accepted() {
    let world = World::build(|spec| spec.broker_audience = None, vec![notes()]).unwrap();
    let refused = world.identity.person(&world.es.token(&with(json!({ "aud": BROKER })))).await;
    assert_eq!(refused.err(), Some(IdentityError::Assertion(AudienceNotAccepted)));
}

/// Proves: ID4
#[tokio::test]
async fn id4_a_login_is_for_that_client_and_that_nonce() {
    let world = World::new();
    let login = async |changes: Value| {
        let mut claims = with(json!({ "aud": "pages", "nonce": "n-1" }));
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let token = world.es.token(&claims);
        world.identity.login("sso", &token, "pages", "n-1").await.map(|login| login.subject().id.clone())
    };
    let refused = |error| Err(IdentityError::Assertion(error));
    assert_eq!(login(json!({})).await, Ok("alice".to_owned()));
    assert_eq!(login(json!({ "azp": "pages" })).await, Ok("alice".to_owned()));
    assert_eq!(login(json!({ "azp": "notes-client" })).await, refused(ClientNotAccepted));
    assert_eq!(login(json!({ "nonce": "n-2" })).await, refused(NonceMismatch));
    assert_eq!(login(json!({ "aud": NOTES })).await, refused(AudienceNotAccepted));
    assert_eq!(login(json!({ "aud": ["pages", "account"] })).await, refused(AudienceExtra));
    assert_eq!(login(json!({ "iss": "https://other.example" })).await, refused(IssuerUnknown));
    let token = world.es.token(&with(json!({ "aud": "pages" })));
    for nonce in ["n-1", ""] {
        let seen = world.identity.login("sso", &token, "pages", nonce).await;
        assert_eq!(seen.err(), Some(IdentityError::Assertion(NonceMismatch)));
    }
    let unknown = world.identity.login("nobody", &token, "pages", "n-1").await;
    assert_eq!(unknown.err(), Some(IdentityError::Assertion(IssuerUnknown)));
}

/// Proves: ID10
#[test]
fn id10_workloads_cannot_share_an_audience_or_a_client_or_take_the_brokers() {
    let problem = |change: &dyn Fn(&mut crate::identity::Acceptance)| {
        let mut second = mail();
        change(second.accepts.get_mut("sso").unwrap());
        World::build(|_| {}, vec![notes(), second]).err()
    };
    let shared = |what| {
        let (first, second) = (notes().id, mail().id);
        Some(IdentityConfigError::Shared { first, second, what })
    };
    let own = |problem| Some(IdentityConfigError::Workload { workload: mail().id, problem });
    assert_eq!(problem(&|_| {}), None);
    assert_eq!(problem(&|a| a.audiences = set(&[NOTES])), shared("an audience"));
    assert_eq!(problem(&|a| a.client_ids = set(&["notes-client"])), shared("a client id"));
    assert_eq!(
        problem(&|a| a.audiences = set(&[BROKER])),
        own("the broker's own audience is not a workload's")
    );
    assert_eq!(
        problem(&|a| a.client_ids = set(&["broker-cli"])),
        own("a client id is also a person's client")
    );
    assert_eq!(
        problem(&|a| a.audiences = set(&["account"])),
        own("an audience is also among the issuer's further audiences")
    );
}
