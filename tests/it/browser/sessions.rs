//! Signing in and out, and sessions that end in the middle.

use super::story::{ASK, CONNECTIONS, DONE, SIGN_IN, Story, sign_in, sign_in_at_notes, to_confirmation};
use broker_client::proto::ConsentState;
use broker_tests::stage::READ;
use demo::world::{ALICE, BOB, Options};
use std::time::Duration;

const SESSION: &str = "__Host-broker-session";
const SIGNED_OUT: &str = "You are signed out";

/// With consents that outlive a session that nobody uses.
async fn patient() -> Story {
    let extra_config = "consent: { lifetime: 4h }".to_owned();
    Story::with(Options { extra_config, ..Options::default() }).await
}

/// Proves: CO16, CO6
#[tokio::test]
async fn co16_a_session_that_ends_before_the_answer_answers_nothing() {
    let story = patient().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    story.stage().clock.advance(Duration::from_secs(31 * 60));
    tab.press("Allow").await;
    let page = tab.sees(SIGNED_OUT).await;
    assert!(page.text.contains("Sign in again and repeat the step"), "{}", page.text);
    tab.judge("session-over").await;
    assert_eq!(story.state(&asked).await, ConsentState::Pending);
    tab.follow("Continue").await;
    // The company's own session may have ended or not; here it has not.
    let page = tab.sees(ASK).await;
    assert_eq!(page.url, asked.url.expose());
    to_confirmation(&tab, &ALICE.notes).await;
    story.stage().clock.advance(Duration::from_secs(31 * 60));
    tab.press("Attach this account").await;
    tab.sees(SIGNED_OUT).await;
    tab.follow("Continue").await;
    tab.sees("Is this the right account?").await;
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    assert_eq!((story.exchanged(), story.count("consent.completed").await), (1, 1));
    story.end().await;
}

/// Proves: CO2, CO16
#[tokio::test]
async fn co16_a_session_that_ends_at_the_provider_stores_nothing() {
    let story = patient().await;
    let asked = story.asked(READ).await;
    let (alice, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    alice.forget(SESSION).await;
    tab.press("Allow").await;
    let page = tab.sees(SIGNED_OUT).await;
    assert!(page.text.contains("Nothing was stored"), "{}", page.text);
    assert_eq!((story.exchanged(), story.state(&asked).await), (0, ConsentState::Approved));
    tab.open(asked.url.expose()).await;
    tab.sees("Continue at Notes").await;
    tab.press("Start again at the provider").await;
    tab.sees("Allow access?").await;
    tab.press("Allow").await;
    tab.sees("Is this the right account?").await;
    story.end().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_signing_out_ends_the_session_and_back_shows_nothing() {
    let story = Story::begin().await;
    let list = format!("{}/connections", story.origin);
    let (alice, tab) = story.opened(&ALICE, &list).await;
    tab.sees(CONNECTIONS).await;
    let other = alice.tab().await;
    other.open(&list).await;
    other.sees(CONNECTIONS).await;
    tab.press("Sign out").await;
    tab.sees("Signed out").await;
    tab.judge("signed-out").await;
    assert_eq!(story.count("session.ended").await, 1);
    assert!(alice.cookies(&list).await.iter().all(|cookie| cookie["name"] != SESSION));
    // The company has her session still; without it, back leads to its form.
    alice.forget("sso_session").await;
    let page = tab.back().await;
    assert!(!page.text.contains("Alice"), "{}", page.text);
    other.press("Sign out").await;
    other.sees("Signed out").await;
    other.follow("Sign in").await;
    sign_in(&other, &BOB.sso).await;
    assert!(other.sees(CONNECTIONS).await.text.contains("Signed in as Bob Example"));
    story.end().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_refused_sign_in_says_what_the_company_said_and_can_be_tried_again() {
    let story = Story::begin().await;
    let tab = story.chromium.profile().await.tab().await;
    tab.open(&format!("{}/connections", story.origin)).await;
    tab.sees(SIGN_IN).await;
    tab.fill("User name", ALICE.sso.name).await;
    tab.fill("Password", ALICE.sso.password).await;
    let sso = story.stage().world.sso().issuer();
    let callback = tab.intercept("Sign in", &format!("{sso}/login")).await;
    let state = broker_tests::walk::param(&callback, "state");
    let refused = format!("{}/login/callback?state={state}&error=access_denied", story.origin);
    let page = tab.open(&format!("{refused}&error_description=Your+account+is+locked.")).await;
    assert_eq!((page.status, page.heading.as_str()), (403, "You are not signed in"));
    assert!(page.text.contains("The sign-in says “Your account is locked.”"), "{}", page.text);
    tab.judge("sign-in-failed").await;
    tab.follow("Try again").await;
    tab.sees(CONNECTIONS).await;
    assert_eq!(story.count("session.started").await, 1);
    story.end().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_where_people_sign_in_at_several_places_they_choose() {
    let amend = |config: String| {
        let login = "    tenant: company\n    algorithms: [ES256]\n    login: { client_id: pages, client_secret: \"${file:sso-client-secret}\" }\n";
        let (before, after) = config.split_once("    realm: cluster\n").expect("the second issuer");
        let after = after.replacen("    tenant: company\n    algorithms: [ES256]\n", login, 1);
        format!("{before}    realm: cluster\n{after}")
    };
    let story = Story::with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await;
    let tab = story.chromium.profile().await.tab().await;
    tab.open(&format!("{}/connections", story.origin)).await;
    let page = tab.sees("Sign in").await;
    assert!(page.text.contains("Choose where you sign in"), "{}", page.text);
    tab.judge("choose-sign-in").await;
    tab.follow("staff").await;
    tab.reads("User name").await;
    sign_in(&tab, &ALICE.sso).await;
    tab.sees(CONNECTIONS).await;
    story.end().await;
}
