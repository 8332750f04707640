//! The whole way through both certified providers' forms, and what follows: issue, refresh, narrow, revoke.

use std::time::Duration;

use broker_client::Narrowing;
use broker_client::proto::{ConsentReason, ConsentState};
use broker_tests::certified::{Certified, READ, SAAS, TOOL, WRITE};
use broker_tests::walk;

const HOUR: Duration = Duration::from_secs(3600);

/// Proves: CO1, CO4, CO11, RF4
#[tokio::test]
async fn a_person_connects_once_and_rotating_refresh_tokens_keep_the_connection_alive() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ, WRITE]).await;
    assert_eq!(needed.reason, ConsentReason::NotConnected);
    let link = needed.url.expose().to_owned();
    assert_eq!(alice.needs(SAAS, &[WRITE, READ]).await.url.expose(), link, "the same need, the same link");
    let handle = link.strip_prefix(&format!("{}/consent/", world.web())).expect("our page");
    assert_eq!(handle.len(), 43, "256 bits in base64url and nothing else");

    let browser = world.browser();
    let page = walk::to_confirmation(&browser, &link, "alice", "bob").await;
    let words = walk::words(&page);
    assert!(words.contains("The Acme Notes account Bob will be attached to you, alice"), "{words}");
    let waiting = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
    assert_eq!(waiting.state(), ConsentState::AwaitingConfirmation);
    alice.needs(SAAS, &[READ, WRITE]).await;
    walk::press(&page, "confirm").await;
    let done = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
    assert_eq!(done.state(), ConsentState::Completed);

    // The peer refuses an exchange without the verifier of the S256 challenge, and a request without a challenge.
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 1);
    let first = alice.grant(SAAS, &[READ, WRITE]).await;
    assert_eq!(world.saas.account_of(first.access_token.expose()).await, "bob");
    assert_eq!(first.account_label, "Bob");
    let again = alice.grant(SAAS, &[READ, WRITE]).await;
    assert_eq!(again.access_token.expose(), first.access_token.expose());
    assert_eq!(world.saas.token_calls("refresh_token").await.len(), 0);

    // Each refresh presents the token that the one before was given; a replay would kill the family.
    for round in 1..=3 {
        world.clock.advance(HOUR);
        let grant = alice.grant(SAAS, &[READ, WRITE]).await;
        assert_eq!(world.saas.account_of(grant.access_token.expose()).await, "bob");
        let calls = world.saas.token_calls("refresh_token").await;
        assert_eq!(calls.len(), round);
        assert!(calls.iter().all(|call| call.error.is_none() && call.status == Some(200)), "{calls:?}");
        for pair in calls.windows(2) {
            assert_eq!(pair[0].issued_refresh, pair[1].presented);
        }
    }
    assert_eq!(world.count("consent.completed").await, 1);
    world.stop().await;
}

/// Proves: RV8
#[tokio::test]
async fn a_narrower_grant_is_a_narrower_token_and_disconnecting_ends_every_token_at_the_provider() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let link = alice.needs(SAAS, &[READ, WRITE]).await.url.expose().to_owned();
    let browser = world.browser();
    walk::connect(&browser, &link, "alice", "alice").await;

    let wide = alice.grant(SAAS, &[READ, WRITE]).await;
    let narrow = alice.grant(SAAS, &[READ]).await;
    assert_eq!((narrow.narrowing, narrow.scopes.clone()), (Narrowing::Exact, vec![READ.to_owned()]));
    let told = world.saas.introspect(&world.client, narrow.access_token.expose()).await;
    let scopes: Vec<&str> = told["scope"].as_str().expect("its scopes").split(' ').collect();
    assert!(scopes.contains(&READ) && !scopes.contains(&WRITE), "{scopes:?}");
    world.clock.advance(HOUR);
    let wide_again = alice.grant(SAAS, &[READ, WRITE]).await;
    let told = world.saas.introspect(&world.client, wide_again.access_token.expose()).await;
    assert!(told["scope"].as_str().expect("its scopes").contains(WRITE), "narrowing does not stick: {told}");

    let page = walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    let page = page.click("Disconnect").await.expect("asks first");
    assert!(
        world.saas.is_active(&world.client, wide_again.access_token.expose()).await,
        "a GET ends nothing"
    );
    let page = walk::press(&page, "disconnect").await;
    let words = walk::words(&page);
    assert!(words.contains("confirmed that the access has ended there too"), "{words}");
    for grant in [&wide, &narrow, &wide_again] {
        assert!(!world.saas.is_active(&world.client, grant.access_token.expose()).await);
    }
    assert_eq!(alice.needs(SAAS, &[READ]).await.reason, ConsentReason::NotConnected);
    world.stop().await;
}
