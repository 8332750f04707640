//! The identity provider changes its keys, or is gone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker_client::Error;
use broker_tests::certified::{Certified, READ, SAAS, TOOL, User};
use broker_tests::walk;

async fn key_fetches(world: &Certified) -> usize {
    world.idp.log().await.iter().filter(|call| call.endpoint == "jwks").count()
}

/// Proves: ID7
#[tokio::test]
async fn id7_a_new_key_costs_one_fetch_and_a_removed_one_ends_with_its_age() {
    let world = Certified::start().await;
    let before = world.user("alice", TOOL).await;
    before.needs(SAAS, &[READ]).await;
    assert_eq!(key_fetches(&world).await, 1);

    world.idp.rotate_keys(true).await;
    world.clock.advance(Duration::from_secs(31));
    let after = world.user("alice", TOOL).await;
    let asked = futures::future::join_all((0..20).map(|_| after.needs(SAAS, &[READ]))).await;
    assert_eq!((asked.len(), key_fetches(&world).await), (20, 2), "an unknown key is asked for once");
    before.needs(SAAS, &[READ]).await;

    // A key that nobody publishes is not asked for again and again.
    let foreign = User { assertion: under_key(&before.assertion, "nobody"), client: before.client.clone() };
    for _ in 0..5 {
        assert!(matches!(foreign.refused(SAAS, &[READ]).await, Error::Assertion(_)));
    }
    assert_eq!(key_fetches(&world).await, 2);

    world.idp.rotate_keys(false).await;
    before.needs(SAAS, &[READ]).await;
    after.needs(SAAS, &[READ]).await;
    world.clock.advance(Duration::from_secs(3601));
    let fresh = world.user("alice", TOOL).await;
    fresh.needs(SAAS, &[READ]).await;
    for removed in [&before, &after] {
        assert_eq!(removed.refused(SAAS, &[READ]).await.reason(), "ASSERTION_INVALID");
    }
    world.stop().await;
}

/// Proves: ID7
#[tokio::test]
async fn id7_without_the_identity_provider_callers_and_people_are_told_to_come_back() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    let world = world.without_idp().await;

    // Keys at hand serve until their age ends, and so does a session.
    alice.needs(SAAS, &[READ]).await;
    let page = browser.get(needed.url.expose()).await.expect("answers");
    assert!(page.form("/approve").is_ok(), "{}", page.describe());
    world.clock.advance(Duration::from_secs(3601));
    let refused = alice.refused(SAAS, &[READ]).await;
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    assert_eq!(refused.reason(), "ISSUER_UNAVAILABLE");
    assert!(refused.retry_after().is_some());

    world.clock.advance(Duration::from_secs(6 * 3600));
    let page = world.browser().get(&format!("{}/connections", world.web())).await.expect("answers");
    assert_eq!(
        (page.status, page.title()),
        (503, "Sign-in is not available · Token broker"),
        "{}",
        page.describe()
    );
    assert!(page.header("retry-after").is_some());
    assert!(!page.text().contains("ISSUER") && !page.text().contains("127.0.0.1"), "{}", page.text());
    world.stop().await;
}

/// The token with another key named in its header.
fn under_key(token: &str, kid: &str) -> String {
    let (header, rest) = token.split_once('.').expect("a JWT");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let mut header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"] = kid.into();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}
