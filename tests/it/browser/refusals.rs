//! Every way in which a consent does not come to be, and what people are told to do next.

use super::story::{ASK, CONFIRM, CONNECTIONS, Story, sign_in_at_notes, to_confirmation};
use broker::worker;
use broker_client::proto::ConsentState;
use broker_tests::stage::{READ, READ_WRITE};
use broker_tests::walk::with_param;
use demo::saas::{Endpoint, Fault};
use demo::world::ALICE;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const AGAIN: &str = "To try again, ask your assistant to do the task once more.";
const FAILED: &str = "This did not work";

/// Proves: CO12
#[tokio::test]
async fn co12_declining_here_or_there_ends_it_and_says_what_to_do() {
    let story = Story::begin().await;
    let first = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, first.url.expose()).await;
    tab.sees(ASK).await;
    tab.press("Decline").await;
    let page = tab.sees("Declined").await;
    assert!(page.text.contains("Nothing was connected") && page.text.contains(AGAIN), "{}", page.text);
    tab.judge("declined").await;
    assert_eq!(story.state(&first).await, ConsentState::Declined);

    let second = story.asked(READ).await;
    tab.open(second.url.expose()).await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    tab.press("Deny").await;
    let page = tab.sees("Declined").await;
    assert!(page.text.contains("Notes says “the account's owner said no”"), "{}", page.text);
    tab.judge("declined-at-provider").await;
    assert!(!tab.reload().await.text.contains("Notes says"), "said once");
    assert_eq!(story.state(&second).await, ConsentState::Declined);

    let third = story.asked(READ).await;
    tab.open(third.url.expose()).await;
    tab.press("Allow").await;
    // She is signed in there still.
    tab.sees("Allow access?").await;
    tab.press("Allow").await;
    tab.sees(CONFIRM).await;
    tab.press("Do not attach it").await;
    tab.sees("Declined").await;
    worker::round(story.stage().world.rooms()).await;
    assert_eq!(story.count("provider_revocation.result").await, 1, "given back");
    assert_eq!((story.count("consent.completed").await, story.exchanged()), (0, 1));
    story.end().await;
}

/// Proves: CO12, CO5
#[tokio::test]
async fn co12_a_provider_that_fails_is_told_as_such() {
    let story = Story::begin().await;
    let first = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, first.url.expose()).await;
    tab.sees(ASK).await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    story.stage().world.notes().script(Fault::Refuse(400, "invalid_grant"), 1);
    tab.press("Allow").await;
    let page = tab.sees(FAILED).await;
    assert!(page.text.contains("Notes was not connected.") && page.text.contains(AGAIN), "{}", page.text);
    tab.judge("provider-error").await;
    assert_eq!(story.state(&first).await, ConsentState::Failed);

    // An answer that says it is somebody else's.
    let second = story.asked(READ).await;
    tab.open(second.url.expose()).await;
    tab.press("Allow").await;
    tab.sees("Allow access?").await;
    let callback = tab.intercept("Allow", &format!("{}/consent", story.notes())).await;
    let page = tab.open(&with_param(&callback, "iss", Some("https://evil.example"))).await;
    assert!(page.heading == FAILED && page.text.contains("came from the wrong place"), "{page:?}");
    tab.judge("wrong-issuer").await;
    assert_eq!(story.state(&second).await, ConsentState::Failed);

    // One that does not say whose account it is.
    let third = story.asked(READ).await;
    tab.open(third.url.expose()).await;
    tab.press("Allow").await;
    tab.sees("Allow access?").await;
    story.stage().world.notes().script_at(Endpoint::Userinfo, Fault::Status500, 9);
    tab.press("Allow").await;
    let page = tab.sees(FAILED).await;
    assert!(page.text.contains("The service did not answer"), "{}", page.text);
    assert_eq!(story.count("consent.completed").await, 0);
    story.end().await;
}

/// Proves: CO1, CO12
#[tokio::test]
async fn co12_what_has_expired_says_so_wherever_it_is_noticed() {
    let story = Story::begin().await;
    let first = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, first.url.expose()).await;
    tab.sees(ASK).await;
    story.stage().clock.advance(Duration::from_secs(601));
    tab.press("Allow").await;
    let page = tab.sees("This request has ended").await;
    assert!(page.text.contains("nothing was connected") && page.text.contains(AGAIN), "{}", page.text);
    tab.judge("expired").await;
    assert_eq!(story.state(&first).await, ConsentState::Expired);

    let second = story.asked(READ).await;
    tab.open(second.url.expose()).await;
    to_confirmation(&tab, &ALICE.notes).await;
    story.stage().clock.advance(Duration::from_secs(601));
    tab.press("Attach this account").await;
    tab.sees("This request has ended").await;
    assert_eq!(story.state(&second).await, ConsentState::Expired);
    assert_eq!(story.count("consent.completed").await, 0);
    story.end().await;
}

/// Proves: CO3, CO12
#[tokio::test]
async fn co12_while_the_provider_thinks_another_tab_says_so() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (alice, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    let release = Arc::new(Notify::new());
    story.stage().world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
    tab.press("Allow").await;
    let log = |events: &[demo::saas::Event]| {
        events.iter().any(|event| matches!(event, demo::saas::Event::Faulted { .. }))
    };
    story.stage().world.notes().wait_until(log).await;
    let other = alice.tab().await;
    other.open(asked.url.expose()).await;
    other.sees("One moment").await;
    other.judge("busy").await;
    release.notify_one();
    tab.sees(CONFIRM).await;
    other.follow("Look again").await;
    other.sees(CONFIRM).await;
    assert_eq!(story.exchanged(), 1);
    story.end().await;
}

/// Proves: CO10
#[tokio::test]
async fn co10_more_less_or_shorter_than_asked_for_is_said_before_it_is_confirmed() {
    let story = Story::begin().await;
    let cases = [
        (Fault::FewerScopes, READ_WRITE, "granted less than was asked for", "confirm-fewer"),
        (Fault::MoreScopes, READ, "granted more than Ticket helper asked for", "confirm-more"),
        (Fault::NoRefreshToken, READ, "no way to renew this access", "confirm-short"),
    ];
    let (_, tab) = story.opened(&ALICE, &format!("{}/connections", story.origin)).await;
    tab.sees(CONNECTIONS).await;
    let mut signed_in = false;
    for (fault, scopes, told, name) in cases {
        let asked = story.asked(scopes).await;
        tab.open(asked.url.expose()).await;
        tab.sees(ASK).await;
        tab.press("Allow").await;
        if !signed_in {
            sign_in_at_notes(&tab, &ALICE.notes).await;
            signed_in = true;
        }
        tab.sees("Allow access?").await;
        story.stage().world.notes().script(fault, 1);
        tab.press("Allow").await;
        let page = tab.sees(CONFIRM).await;
        assert!(page.text.contains(told), "{told}: {}", page.text);
        tab.judge(name).await;
        tab.press("Do not attach it").await;
        tab.sees("Declined").await;
    }
    story.end().await;
}

/// A page of another site that sends our form, and addresses that lead nowhere.
/// Proves: CO6
#[tokio::test]
async fn co6_another_sites_form_and_made_up_addresses_end_on_a_page_that_helps() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    let before = story.events().await.len();
    tab.open(&format!("{}/login", story.notes())).await;
    tab.post(&format!("{}/approve", asked.url.expose()), &[("terms", "x"), ("csrf", "x")]).await;
    let page = tab.sees("This form is not accepted").await;
    assert!(page.text.contains("Open the page again and answer there"), "{}", page.text);
    tab.judge("foreign-form").await;
    let page = tab.open(&format!("{}/consent/{}", story.origin, "A".repeat(43))).await;
    assert_eq!((page.status, page.heading.as_str()), (404, "There is nothing here"));
    tab.judge("not-found").await;
    let page = tab.open(&format!("{}/login/start?return=//evil.example", story.origin)).await;
    assert_eq!((page.status, page.heading.as_str()), (400, "This request cannot be read"));
    tab.judge("bad-request").await;
    let page = tab.open(&format!("{}/oauth/callback/notes?state=s&code=c", story.origin)).await;
    assert_eq!((page.status, page.heading.as_str()), (404, "Nothing is waiting for this answer"));
    tab.judge("nothing-waiting").await;
    assert_eq!(story.events().await.len(), before, "nothing happened");
    assert_eq!(story.state(&asked).await, ConsentState::Pending);
    story.end().await;
}
