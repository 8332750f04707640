//! Two people, two browsers, two devices.

use super::story::{ASK, CONFIRM, DONE, LEAVING, SIGN_IN, Story, sign_in, sign_in_at_notes, to_confirmation};
use broker_client::proto::ConsentState;
use broker_tests::stage::READ;
use demo::world::{ALICE, BOB, Workload::TicketHelper};
use serde_json::json;

const NOT_FOR_YOU: &str = "This link is not for this account";
const ELSEWHERE: &str = "Continue in the browser where you began";

/// Proves: CO2
#[tokio::test]
async fn co2_bob_gets_nothing_out_of_alices_link_and_she_can_still_use_it() {
    let story = Story::begin().await;
    let hers = story.asked(READ).await;
    let link = hers.url.expose();
    let (bob, bobs) = story.opened(&BOB, link).await;
    let page = bobs.sees(NOT_FOR_YOU).await;
    assert_eq!(page.url, link);
    for particular in ["Ticket helper", "Notes", "notes.read", "list_notes", "Alice", "alice"] {
        assert!(!page.text.contains(particular), "{particular}: {}", page.text);
    }
    assert!(!bobs.has_button("Allow").await && !bobs.has_button("Decline").await);
    bobs.judge("wrong-person").await;
    assert_eq!(story.count("consent.user_mismatch").await, 1);

    // Bob's own goes on beside it, in the same browser.
    let his = story.stage().consent(&BOB, TicketHelper, READ).await;
    let two = bob.tab().await;
    two.open(his.url.expose()).await;
    two.sees(ASK).await;
    let (_, alices) = story.opened(&ALICE, link).await;
    alices.sees(ASK).await;
    to_confirmation(&alices, &ALICE.notes).await;
    to_confirmation(&two, &BOB.notes).await;
    alices.press("Attach this account").await;
    alices.sees(DONE).await;
    two.press("Attach this account").await;
    two.sees(DONE).await;
    assert_eq!(story.stage().grant(&ALICE, TicketHelper, READ).await.account_label, ALICE.notes.name);
    assert_eq!(story.stage().grant(&BOB, TicketHelper, READ).await.account_label, BOB.notes.name);

    // Hers still says nothing to him.
    assert_eq!(bobs.reload().await.heading, NOT_FOR_YOU);
    story.end().await;
}

/// Proves: CO2, CO16
#[tokio::test]
async fn co2_the_right_person_can_take_over_a_browser() {
    let story = Story::begin().await;
    let hers = story.asked(READ).await;
    let (browser, tab) = story.opened(&BOB, hers.url.expose()).await;
    tab.sees(NOT_FOR_YOU).await;
    browser.silence(&format!("{}/authorize", story.stage().world.sso().issuer())).await;
    tab.press("Switch account").await;
    tab.sees(LEAVING).await;
    browser.unsilence().await;
    tab.follow("Continue to 127.0.0.1").await;
    sign_in(&tab, &ALICE.sso).await;
    let page = tab.sees(ASK).await;
    assert!(page.url == hers.url.expose() && page.text.contains("Signed in as Alice Example"), "{page:?}");
    assert_eq!((story.count("session.started").await, story.count("session.ended").await), (2, 1));
    story.end().await;
}

/// Begun on the phone, continued on the laptop.
/// Proves: CO3
#[tokio::test]
async fn co3_phone_then_laptop() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let link = asked.url.expose();
    let phone = json!({ "viewport": { "width": 390, "height": 844 }, "isMobile": true, "hasTouch": true });
    let phone = story.chromium.profile_with(phone).await.tab().await;
    phone.open(link).await;
    sign_in(&phone, &ALICE.sso).await;
    phone.sees(ASK).await;
    phone.press("Allow").await;
    sign_in_at_notes(&phone, &ALICE.notes).await;
    let callback = phone.intercept("Allow", &format!("{}/consent", story.notes())).await;

    // The provider's answer arrives on the laptop: first signed out, then signed in.
    let laptop = story.chromium.profile().await.tab().await;
    let page = laptop.open(&callback).await;
    assert_eq!((page.status, page.heading.as_str()), (403, "You are signed out"));
    laptop.judge("callback-signed-out").await;
    laptop.open(&format!("{}/connections", story.origin)).await;
    sign_in(&laptop, &ALICE.sso).await;
    laptop.sees("Your connections").await;
    let page = laptop.open(&callback).await;
    assert_eq!((page.status, page.heading.as_str()), (403, ELSEWHERE));
    laptop.judge("other-browser").await;
    assert_eq!((story.exchanged(), story.state(&asked).await), (0, ConsentState::Approved));

    // On the phone it works; the laptop can look, and decline, but not confirm.
    phone.open(&callback).await;
    phone.sees(CONFIRM).await;
    let page = laptop.open(link).await;
    assert!(page.heading == ELSEWHERE && !laptop.has_button("Attach this account").await, "{page:?}");
    laptop.judge("other-browser-open").await;
    phone.press("Attach this account").await;
    phone.sees(DONE).await;
    laptop.reload().await;
    laptop.sees(DONE).await;
    story.end().await;
}

/// Or all over again on the laptop, which makes what was begun on the phone void.
/// Proves: CO3
#[tokio::test]
async fn co3_the_laptop_may_start_over() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let link = asked.url.expose();
    let (_, phone) = story.opened(&ALICE, link).await;
    phone.sees(ASK).await;
    phone.press("Allow").await;
    sign_in_at_notes(&phone, &ALICE.notes).await;
    let (_, laptop) = story.opened(&ALICE, link).await;
    laptop.sees("Continue at Notes").await;
    laptop.press("Start again at the provider").await;
    sign_in_at_notes(&laptop, &ALICE.notes).await;
    phone.press("Allow").await;
    phone.sees("Nothing is waiting for this answer").await;
    assert_eq!(story.exchanged(), 0);
    laptop.press("Allow").await;
    laptop.sees(CONFIRM).await;
    laptop.press("Attach this account").await;
    laptop.sees(DONE).await;
    assert_eq!(story.exchanged(), 1);
    story.end().await;
}

/// Somebody sends the end of their own sign-in to somebody else.
/// Proves: CO16
#[tokio::test]
async fn co16_a_sign_in_that_began_elsewhere_signs_nobody_in() {
    let story = Story::begin().await;
    let mallory = story.chromium.profile().await.tab().await;
    mallory.open(&format!("{}/connections", story.origin)).await;
    mallory.sees(SIGN_IN).await;
    mallory.fill("User name", BOB.sso.name).await;
    mallory.fill("Password", BOB.sso.password).await;
    let sso = story.stage().world.sso().issuer();
    let callback = mallory.intercept("Sign in", &format!("{sso}/login")).await;

    let victim = story.chromium.profile().await;
    let tab = victim.tab().await;
    let page = tab.open(&callback).await;
    assert_eq!((page.status, page.heading.as_str()), (400, "This sign-in did not begin in this browser"));
    tab.judge("sign-in-elsewhere").await;
    assert!(victim.cookies(&story.origin).await.is_empty());
    assert_eq!(story.count("session.started").await, 0);
    story.end().await;
}
