//! Refreshing at the certified provider, whose refresh tokens are single use: once, and nothing is lost.

use std::time::Duration;

use broker_client::proto::ConsentReason;
use broker_tests::certified::{Certified, READ, SAAS, TOOL, User};
use broker_tests::oidc::{Call, Fault};
use broker_tests::walk;

const HOUR: Duration = Duration::from_secs(3600);

/// alice, connected as alice, her access token just over.
async fn expired() -> (Certified, User) {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::connect(&world.browser(), needed.url.expose(), "alice", "alice").await;
    alice.grant(SAAS, &[READ]).await;
    world.clock.advance(HOUR);
    (world, alice)
}

async fn refreshes(world: &Certified) -> usize {
    world.saas.token_calls("refresh_token").await.len()
}

/// Waits until there is an event of that kind.
async fn reached(world: &Certified, kind: &str) {
    let there = async {
        while world.count(kind).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), there).await.unwrap_or_else(|_| panic!("no {kind}"));
}

/// The stored refresh token is the living one: the next refresh succeeds and its token works.
async fn family_lives(world: &Certified, alice: &User) {
    world.clock.advance(HOUR);
    let grant = alice.grant(SAAS, &[READ]).await;
    assert!(world.saas.is_active(&world.client, grant.access_token.expose()).await);
}

/// Proves: RF1
#[tokio::test]
async fn rf1_a_hundred_callers_of_an_expired_connection_cause_one_refresh() {
    let (world, alice) = expired().await;
    world.saas.inject([Fault::hold()]).await;
    let crowd = futures::future::join_all((0..100).map(|_| alice.grant(SAAS, &[READ])));
    let release = async {
        world.saas.held(1).await;
        world.saas.release().await;
    };
    let (grants, ()) = tokio::join!(crowd, release);
    assert_eq!(refreshes(&world).await, 1);
    assert!(grants.iter().all(|g| g.access_token.expose() == grants[0].access_token.expose()));
    let stored = world.events().await.iter().filter(|(kind, _)| kind == "refresh.stored").count();
    assert_eq!((world.count("refresh.intent").await, stored), (1, 1));
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// Proves: RF3, RF4
#[tokio::test]
async fn rf3_a_caller_who_leaves_mid_refresh_loses_nothing_and_the_intent_was_written_first() {
    let (world, alice) = expired().await;
    world.saas.inject([Fault::hold()]).await;
    let leaver = alice.clone();
    let call = tokio::spawn(async move { leaver.ask(SAAS, &[READ]).await });
    world.saas.held(1).await;
    assert_eq!(world.count("refresh.intent").await, 1, "committed before the request left");
    assert_eq!(world.count("refresh.stored").await, 0);
    // Nothing of the database is held meanwhile: others read and write.
    let bob = world.user("bob", TOOL).await;
    bob.needs(SAAS, &[READ]).await;
    call.abort();
    assert!(call.await.expect_err("gone").is_cancelled());
    world.saas.release().await;
    reached(&world, "refresh.stored").await;
    let grant = alice.grant(SAAS, &[READ]).await;
    assert!(world.saas.is_active(&world.client, grant.access_token.expose()).await);
    assert_eq!(refreshes(&world).await, 1, "the stored token answers");
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// None of these says that the grant is dead, so none costs the connection; each says when to come back.
/// Proves: RF6, RF9
#[tokio::test]
async fn rf6_a_provider_in_trouble_never_costs_a_connection_and_is_left_alone_for_a_while() {
    let (world, alice) = expired().await;
    let (unavailable, limited) = ("PROVIDER_UNAVAILABLE", "PROVIDER_RATE_LIMITED");
    let invalid_grant_in_500 = Fault::respond(500, "application/json", r#"{"error":"invalid_grant"}"#);
    let faults = [
        (Fault::html(), unavailable, 10),
        (Fault::server_error(), unavailable, 10),
        (invalid_grant_in_500, unavailable, 10),
        (Fault::respond(408, "text/plain", ""), unavailable, 10),
        (Fault::too_many_requests(77), limited, 77),
        (Fault::error_with_200("ratelimited"), limited, 10),
        (Fault::error_with_200("temporarily_unavailable"), unavailable, 10),
        (Fault::respond(200, "application/json", "{\"access_token\":"), unavailable, 10),
        (
            Fault::respond(401, "application/json", r#"{"error":"invalid_client"}"#),
            "PROVIDER_CLIENT_REJECTED",
            10,
        ),
    ];
    for (n, (fault, reason, rest)) in faults.into_iter().enumerate() {
        world.saas.inject([fault.clone()]).await;
        let refused = alice.refused(SAAS, &[READ]).await;
        assert_eq!(refused.reason(), reason, "{fault:?}");
        let told = refused.retry_after().expect("when to come back");
        assert!(told <= Duration::from_secs(rest) && told.as_secs() + 3 >= rest, "{fault:?}: {told:?}");
        assert!(
            !refused.message().contains("Maintenance") && !refused.message().contains("error"),
            "{refused}"
        );
        // Whoever comes too early is told so without a call.
        let early = futures::future::join_all((0..10).map(|_| alice.refused(SAAS, &[READ]))).await;
        for refused in early {
            assert_eq!(refused.reason(), reason, "{fault:?}");
            assert!(refused.retry_after().is_some_and(|wait| wait <= told), "{fault:?}");
        }
        assert_eq!(refreshes(&world).await, n + 1, "{fault:?}");
        world.clock.advance(Duration::from_secs(rest + 1));
    }
    let grant = alice.grant(SAAS, &[READ]).await;
    assert!(world.saas.is_active(&world.client, grant.access_token.expose()).await);
    assert_eq!(world.count("connection.reauth_required").await, 0);
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// A token that is still good serves while the provider is in trouble, also for those who come during its rest.
/// Proves: RF6
#[tokio::test]
async fn rf6_a_token_that_is_still_good_serves_through_the_trouble() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::connect(&world.browser(), needed.url.expose(), "alice", "alice").await;
    let first = alice.grant(SAAS, &[READ]).await;
    world.clock.advance(Duration::from_secs(3400));
    world.saas.inject([Fault::server_error()]).await;
    for _ in 0..3 {
        let grant = alice.grant(SAAS, &[READ]).await;
        assert_eq!(grant.access_token.expose(), first.access_token.expose());
    }
    assert_eq!(refreshes(&world).await, 1);
    world.stop().await;
}

/// A refused grant is final, asked for once, and the person reconnects once.
/// Proves: RF6, RF9
#[tokio::test]
async fn rf9_a_dead_grant_is_not_tried_again_and_costs_one_consent() {
    let (world, alice) = expired().await;
    let dead = Fault::respond(400, "application/json", r#"{"error":"invalid_grant"}"#);
    world.saas.inject([dead]).await;
    let links = futures::future::join_all((0..10).map(|_| alice.needs(SAAS, &[READ]))).await;
    assert!(links.iter().all(|needed| needed.reason == ConsentReason::ReauthRequired));
    assert!(links.iter().all(|needed| needed.url.expose() == links[0].url.expose()));
    assert_eq!(refreshes(&world).await, 1);
    let events = world.events().await;
    let latched = ("connection.reauth_required".to_owned(), "PROVIDER_GRANT_REJECTED".to_owned());
    assert_eq!(events.iter().filter(|event| **event == latched).count(), 1);
    world.clock.advance(HOUR);
    alice.needs(SAAS, &[READ]).await;
    assert_eq!(refreshes(&world).await, 1);
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::connect(&world.browser(), needed.url.expose(), "alice", "alice").await;
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// The reply to a rotation is lost on the way: nobody has the new token. The old one is offered again only after a
/// rest, the provider sees a replay, and the person is asked to reconnect exactly once.
/// Proves: RF6
#[tokio::test]
async fn rf6_a_lost_reply_is_no_verdict_until_the_provider_gives_one() {
    let (world, alice) = expired().await;
    world.saas.inject([Fault::lose_reply()]).await;
    let refused = alice.refused(SAAS, &[READ]).await;
    assert_eq!(refused.reason(), "PROVIDER_UNAVAILABLE");
    assert!(refused.retry_after().is_some());
    assert_eq!(world.count("connection.reauth_required").await, 0);
    world.clock.advance(Duration::from_secs(11));
    let needed = alice.needs(SAAS, &[READ]).await;
    assert_eq!(needed.reason, ConsentReason::ReauthRequired);
    let calls = world.saas.token_calls("refresh_token").await;
    assert_eq!(
        calls.iter().map(|call| call.error.as_deref()).collect::<Vec<_>>(),
        [None, Some("invalid_grant")]
    );
    walk::connect(&world.browser(), needed.url.expose(), "alice", "alice").await;
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// A rotation whose answer is no use otherwise still brought the only token that works from now on.
/// Proves: RF4
#[tokio::test]
async fn rf4_a_rotated_token_in_an_unusable_answer_is_kept() {
    let (world, alice) = expired().await;
    world.saas.inject([Fault::rewrite(serde_json::json!({"token_type": "mac"}))]).await;
    assert_eq!(alice.refused(SAAS, &[READ]).await.reason(), "PROVIDER_UNAVAILABLE");
    world.clock.advance(Duration::from_secs(11));
    alice.grant(SAAS, &[READ]).await;
    let calls = world.saas.token_calls("refresh_token").await;
    assert_eq!(calls[0].issued_refresh, calls[1].presented);
    family_lives(&world, &alice).await;
    world.stop().await;
}

/// The connection is ended while its refresh is under way: what comes back is ended too.
/// Proves: RF4
#[tokio::test]
async fn rf4_a_token_that_comes_back_to_an_ended_connection_is_ended_at_the_provider() {
    let (world, alice) = expired().await;
    let browser = world.browser();
    let page = walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    let page = page.click("Disconnect").await.expect("asks first");
    world.saas.inject([Fault::hold_reply()]).await;
    let revoke = async {
        world.saas.held(1).await;
        // Told to the provider only when the refresh is over; ended here at once.
        let release = async {
            reached(&world, "connection.revoked").await;
            world.saas.release().await;
        };
        tokio::join!(walk::press(&page, "disconnect"), release).0
    };
    let (outcome, page) = tokio::join!(alice.ask(SAAS, &[READ]), revoke);
    assert_eq!(page.title(), "Disconnected · Token broker", "{}", page.describe());
    if let Ok(broker_client::Outcome::Grant(_)) = outcome {
        panic!("a grant from an ended connection");
    }
    let refreshed = world.saas.token_calls("refresh_token").await.pop().expect("a refresh");
    assert!(refreshed.issued_refresh.is_some(), "rotated before the connection ended");
    let log = world.saas.log().await;
    for token in [&refreshed.issued_refresh, &refreshed.issued_access] {
        let told = |call: &&Call| call.endpoint == "revocation" && call.presented == *token;
        assert!(log.iter().any(|call| told(&call)), "what came back is ended: {log:?}");
    }
    world.stop().await;
}
