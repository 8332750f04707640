//! What the provider answers to a code, from good to hopeless: each has its page, its state and its reason.

use std::time::Duration;

use broker::worker;
use broker_client::proto::{ConsentReason, ConsentState};
use broker_client::{GrantRequest, Outcome};
use broker_tests::certified::{Certified, READ, SAAS, TOOL, WRITE};
use broker_tests::oidc::{Call, Fault};
use broker_tests::walk;
use serde_json::json;

/// Internals that no page may show.
const INTERNALS: [&str; 8] = [
    "PROVIDER_",
    "ProviderError",
    "Unavailable",
    "/token",
    "invalid_",
    "server_error",
    "Maintenance",
    "status",
];

/// Proves: CO12
#[tokio::test]
async fn co12_a_failed_exchange_is_explained_without_internals_and_the_next_link_works() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let faults = [
        (Fault::html(), "PROVIDER_UNAVAILABLE", "The service did not answer"),
        (Fault::server_error(), "PROVIDER_UNAVAILABLE", "The service did not answer"),
        (Fault::too_many_requests(120), "PROVIDER_RATE_LIMITED", "The service asks for patience"),
        (
            Fault::error_with_200("invalid_client"),
            "PROVIDER_CLIENT_REJECTED",
            "The broker is not set up correctly",
        ),
        (Fault::error_with_200("ratelimited"), "PROVIDER_RATE_LIMITED", "The service asks for patience"),
        (Fault::error_with_200("invalid_grant"), "PROVIDER_GRANT_REJECTED", "The service refused"),
        (Fault::lose_reply(), "PROVIDER_UNAVAILABLE", "The service did not answer"),
        (
            Fault::respond(200, "application/json", "{\"access_token\":"),
            "PROVIDER_UNAVAILABLE",
            "did not answer",
        ),
        (Fault::without(&["access_token"]), "PROVIDER_UNAVAILABLE", "The service did not answer"),
    ];
    let mut links = Vec::new();
    for (n, (fault, reason, told)) in faults.into_iter().enumerate() {
        let needed = alice.needs(SAAS, &[READ]).await;
        links.push(needed.url.expose().to_owned());
        let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
        world.saas.inject([fault.clone().on_grant("authorization_code")]).await;
        let page = browser.get(&callback).await.expect("answers");
        let words = walk::words(&page);
        assert_eq!((page.status, page.title()), (200, "This did not work · Token broker"), "{fault:?}");
        assert!(words.contains(told), "{fault:?}: {words}");
        assert!(INTERNALS.iter().all(|internal| !words.contains(internal)), "{fault:?}: {words}");
        let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
        assert_eq!((consent.state(), consent.reason.as_str()), (ConsentState::Failed, reason), "{fault:?}");
        // A code is single use: nothing is ever sent a second time.
        browser.get(&callback).await.expect("answers");
        assert_eq!(world.saas.token_calls("authorization_code").await.len(), n + 1);
    }
    links.sort();
    links.dedup();
    assert_eq!(links.len(), 9, "each attempt has a link of its own");
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::connect(&browser, needed.url.expose(), "alice", "alice").await;
    alice.grant(SAAS, &[READ]).await;
    world.stop().await;
}

/// Proves: CO10
#[tokio::test]
async fn co10_fewer_scopes_are_told_recorded_and_asked_for_again_only_when_needed() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ, WRITE]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    world.saas.inject([Fault::fewer_scopes("openid notes.read")]).await;
    let page = browser.get(&callback).await.expect("answers");
    let words = walk::words(&page);
    assert!(words.contains("granted less than was asked for"), "{words}");
    let (can, cannot) = words.split_once("will not be able to").expect("two lists");
    assert!(
        can.contains("Look at the notes") && !can.contains("Scribble") && cannot.contains("Scribble notes")
    );
    walk::press(&page, "confirm").await;

    assert_eq!(alice.grant(SAAS, &[READ]).await.scopes, [READ]);
    let more = alice.needs(SAAS, &[READ, WRITE]).await;
    assert_eq!((more.reason, more.missing_scopes), (ConsentReason::ScopesMissing, vec![WRITE.to_owned()]));
    assert_eq!(alice.grant(SAAS, &[READ]).await.scopes, [READ], "the connection stays until it is widened");
    let obtained = last(&world, "consent.obtained").await;
    assert_eq!(obtained["detail"]["fewer_scopes"], true, "{obtained}");
    world.stop().await;
}

/// Proves: CO10
#[tokio::test]
async fn co10_nothing_useful_granted_fails_and_is_given_back() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[WRITE]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    world.saas.inject([Fault::fewer_scopes("openid notes.read")]).await;
    let page = browser.get(&callback).await.expect("answers");
    assert_eq!(page.title(), "This did not work · Token broker", "{}", page.describe());
    let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
    assert_eq!((consent.state(), consent.reason.as_str()), (ConsentState::Failed, "CONSENT_SCOPES_REDUCED"));
    worker::round(world.rooms()).await;
    let log = world.saas.log().await;
    let issued = log.iter().find_map(|call| call.issued_refresh.clone());
    let ended = |call: &Call| call.endpoint == "revocation" && call.presented == issued;
    assert!(issued.is_some() && log.iter().any(ended), "{log:?}");
    world.stop().await;
}

/// Proves: CO10
#[tokio::test]
async fn co10_wider_scopes_are_flagged_and_not_given_to_the_server() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    world.saas.inject([Fault::rewrite(json!({"scope": "openid notes.read notes.write surprise"}))]).await;
    let page = browser.get(&callback).await.expect("answers");
    let words = walk::words(&page);
    let (_, wider) = words
        .split_once("granted more than Ticket tool asked for")
        .unwrap_or_else(|| panic!("not flagged: {words}"));
    assert!(wider.contains("Scribble notes") && wider.contains("surprise"), "{words}");
    walk::press(&page, "confirm").await;
    assert_eq!(last(&world, "consent.obtained").await["detail"]["wider_scopes"], true);
    let grant = alice.grant(SAAS, &[READ]).await;
    assert_eq!(grant.scopes, [READ]);
    let told = world.saas.introspect(&world.client, grant.access_token.expose()).await;
    assert!(!told["scope"].as_str().expect("scopes").contains(WRITE), "narrowed first: {told}");
    assert_eq!(alice.needs(SAAS, &[WRITE]).await.reason, ConsentReason::NotApproved);
    world.stop().await;
}

/// Proves: CO10, RF7
#[tokio::test]
async fn co10_a_missing_refresh_token_is_explained_and_costs_one_new_consent_when_the_token_ends() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    world.saas.inject([Fault::without(&["refresh_token"])]).await;
    let page = browser.get(&callback).await.expect("answers");
    assert!(walk::words(&page).contains("gave no way to renew this access"), "{}", page.describe());
    walk::press(&page, "confirm").await;
    assert_eq!(last(&world, "consent.obtained").await["detail"]["refresh_token"], false);
    alice.grant(SAAS, &[READ]).await;
    world.clock.advance(Duration::from_secs(3590));
    alice.grant(SAAS, &[READ]).await;
    world.clock.advance(Duration::from_secs(10));
    let again = alice.needs(SAAS, &[READ]).await;
    assert_eq!(again.reason, ConsentReason::ReauthRequired);
    assert_eq!(world.saas.token_calls("refresh_token").await.len(), 0);
    walk::connect(&world.browser(), again.url.expose(), "alice", "alice").await;
    alice.grant(SAAS, &[READ]).await;
    world.stop().await;
}

/// Proves: CO11
#[tokio::test]
async fn co11_another_account_than_before_is_told_and_never_swapped_in() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::connect(&world.browser(), needed.url.expose(), "alice", "alice").await;
    let first = alice.grant(SAAS, &[READ]).await;
    let wider = alice.needs(SAAS, &[READ, WRITE]).await;
    let page = walk::to_confirmation(&world.browser(), wider.url.expose(), "alice", "bob").await;
    let words = walk::words(&page);
    assert!(words.contains("different account from the one you connected before, Alice"), "{words}");
    assert!(words.contains("account Bob will be attached to you"), "{words}");
    assert_eq!(alice.grant(SAAS, &[READ]).await.account_label, "Alice", "nothing changed yet");
    walk::press(&page, "confirm").await;

    // Two connections now, and the one that was used before is still the one that is used.
    let listed = alice.client.list_connections(&alice.assertion.clone().into()).await.expect("the list");
    assert_eq!(listed.len(), 2);
    let same = alice.grant(SAAS, &[READ]).await;
    assert_eq!(same.connection_id, first.connection_id);
    assert_eq!(world.saas.account_of(same.access_token.expose()).await, "alice");
    assert_eq!(alice.needs(SAAS, &[READ, WRITE]).await.reason, ConsentReason::ScopesMissing);
    let new = listed.iter().find(|connection| connection.id != first.connection_id).expect("the new one");
    let named = GrantRequest::new(alice.assertion.clone(), SAAS, [READ, WRITE]).connection(&new.id);
    match alice.client.issue_grant(&named).await.expect("an outcome") {
        Outcome::Grant(grant) => {
            assert_eq!(world.saas.account_of(grant.access_token.expose()).await, "bob");
        }
        Outcome::ConsentRequired(needed) => panic!("{:?}", needed.reason),
    }
    world.stop().await;
}

/// The account lookup is part of connecting: without it nothing is attached and what was obtained is given back.
/// Proves: CO11
#[tokio::test]
async fn co11_an_account_nobody_can_name_is_not_attached() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    for fault in [Fault::server_error(), Fault::html(), Fault::rewrite(json!({"sub": ""}))] {
        let needed = alice.needs(SAAS, &[READ]).await;
        let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
        world.saas.inject([fault.at("userinfo")]).await;
        let page = browser.get(&callback).await.expect("answers");
        assert_eq!(page.title(), "This did not work · Token broker", "{}", page.describe());
        let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
        assert_eq!(consent.state(), ConsentState::Failed);
    }
    worker::round(world.rooms()).await;
    let log = world.saas.log().await;
    for code in log.iter().filter(|call| call.grant_type.as_deref() == Some("authorization_code")) {
        let ended = |call: &Call| call.endpoint == "revocation" && call.presented == code.issued_refresh;
        assert!(log.iter().any(ended), "given back: {code:?}");
    }
    world.stop().await;
}

async fn last(world: &Certified, kind: &str) -> serde_json::Value {
    let bodies = broker_tests::audit::bodies(world.rooms()).await;
    bodies.into_iter().rfind(|body| body["kind"] == kind).expect("an event of that kind")
}
