//! Signing out at the certified identity provider ends the session on the broker's pages.

use std::time::Duration;

use broker_tests::browser::http_client;
use broker_tests::certified::{Certified, TOOL};
use broker_tests::walk;
use demo::browser::Browser;

fn connections(world: &Certified) -> String {
    format!("{}/connections", world.web())
}

async fn signed_in(world: &Certified, browser: &Browser, person: &str) {
    let page = walk::open(browser, &connections(world), person).await;
    assert_eq!(page.title(), "Your connections · Token broker", "{}", page.describe());
}

/// Whether the browser's session lives: it is not sent to sign in.
async fn lives(world: &Certified, browser: &Browser) -> bool {
    browser.hold_before(Some(world.idp.issuer()));
    let page = browser.get(&connections(world)).await.expect("answers");
    browser.hold_before(None);
    page.title() == "Your connections · Token broker"
}

/// Signs out at the identity provider, of everything it knows.
async fn sign_out_there(world: &Certified, browser: &Browser) {
    let page = browser.get(&format!("{}/session/end", world.idp.issuer())).await.expect("asks");
    let form = page.form("/session/end/confirm").unwrap_or_else(|e| panic!("{e}: {}", page.describe()));
    let label = form.buttons().first().map(|label| (*label).to_owned()).expect("a button");
    form.submit(&label).await.expect("signed out");
}

/// Proves: CO16
#[tokio::test]
async fn co16_signing_out_at_the_identity_provider_ends_the_session_here_and_no_other() {
    let world = Certified::start().await;
    let (laptop, phone, bobs) = (world.browser(), world.browser(), world.browser());
    signed_in(&world, &laptop, "alice").await;
    signed_in(&world, &phone, "alice").await;
    signed_in(&world, &bobs, "bob").await;
    sign_out_there(&world, &laptop).await;
    let mut told = world.idp.log().await;
    told.retain(|call| call.endpoint == "backchannel_logout");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].processed && told[0].error.is_none(), "{told:?}");
    assert!(!lives(&world, &laptop).await);
    assert!(lives(&world, &phone).await, "another session of the same person at the identity provider");
    assert!(lives(&world, &bobs).await);
    assert_eq!(world.count("session.ended").await, 1);

    // Signing in again works, and so does signing out again.
    signed_in(&world, &laptop, "alice").await;
    assert!(lives(&world, &laptop).await);
    sign_out_there(&world, &laptop).await;
    assert!(!lives(&world, &laptop).await);
    assert_eq!(world.count("session.ended").await, 2);
    world.stop().await;
}

/// Proves: CO16, AU2
#[tokio::test]
async fn co16_without_the_issuers_keys_a_logout_is_to_be_sent_again_and_a_persons_token_is_none() {
    let world = Certified::start().await;
    let browser = world.browser();
    signed_in(&world, &browser, "alice").await;
    let assertion = world.assertion("alice", TOOL).await;
    let address = format!("{}/logout/backchannel/sso", world.web());
    let send = async || {
        let request = http_client().post(&address).form(&[("logout_token", assertion.as_str())]);
        request.send().await.expect("answers").status().as_u16()
    };
    assert_eq!(send().await, 400, "an assertion is no logout token");
    assert!(lives(&world, &browser).await);
    // Summed up like every refusal before authentication, unless a minute has just ended and it is written already.
    let summed = world.rooms().refusals.drain_all();
    let counted = summed.iter().any(|summary| {
        world.rooms().refusals.entry(summary).draft.detail.get("listener") == Some(&"web".into())
    });
    assert!(counted || world.count("refusals.summary").await > 0, "{summed:?}");
    let world = world.without_idp().await;
    world.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(send().await, 503);
    assert_eq!(world.count("session.ended").await, 0);
    world.stop().await;
}
