//! Reload, the back button, double clicks, and the same thing in two tabs.

use super::story::{ASK, AT_NOTES, CONFIRM, DONE, NOTES_ASKS, Story, sign_in_at_notes};
use broker_client::proto::ConsentState;
use broker_tests::stage::{READ, READ_WRITE};
use demo::world::{ALICE, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: CO6
#[tokio::test]
async fn co6_reload_back_and_double_click_do_nothing_twice() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    let before = story.events().await.len();
    for _ in 0..2 {
        assert_eq!(tab.reload().await.heading, ASK);
    }
    assert_eq!(story.events().await.len(), before, "looking changes nothing");

    tab.press_twice("Allow").await;
    tab.sees(AT_NOTES).await;
    // Back from the provider: the page says how it stands, and starts again.
    tab.back().await;
    tab.open(asked.url.expose()).await;
    tab.sees("Continue at Notes").await;
    tab.judge("left").await;
    tab.press("Start again at the provider").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    tab.press_twice("Allow").await;
    tab.sees(CONFIRM).await;
    assert_eq!(tab.reload().await.heading, CONFIRM);
    assert_eq!(story.exchanged(), 1);
    tab.press_twice("Attach this account").await;
    tab.sees(DONE).await;
    assert_eq!(tab.reload().await.heading, DONE);
    let old = tab.back().await;
    assert!([CONFIRM, DONE, NOTES_ASKS].contains(&old.heading.as_str()), "{old:?}");
    if tab.has_button("Attach this account").await {
        tab.press("Attach this account").await;
        tab.sees(DONE).await;
    }
    assert_eq!((story.exchanged(), story.count("consent.completed").await), (1, 1));
    assert_eq!(story.state(&asked).await, ConsentState::Completed);
    tab.open(asked.url.expose()).await;
    tab.sees(DONE).await;
    story.end().await;
}

/// Proves: CO6, CO16
#[tokio::test]
async fn co6_a_callback_that_is_loaded_again_shows_the_outcome() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    let callback = tab.intercept("Allow", &format!("{}/consent", story.notes())).await;
    assert_eq!(tab.open(&callback).await.heading, CONFIRM);
    assert_eq!(tab.open(&callback).await.heading, CONFIRM);
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    assert_eq!(tab.open(&callback).await.heading, DONE);
    assert_eq!(story.exchanged(), 1);
    story.end().await;
}

/// Two tabs of one browser, each with a consent of its own, in the middle of both.
/// Proves: CO3
#[tokio::test]
async fn co3_two_tabs_do_not_get_into_each_others_way() {
    let story = Story::begin().await;
    let first = story.asked(READ).await;
    let second = story.stage().consent(&ALICE, ReportWriter, READ).await;
    let (alice, one) = story.opened(&ALICE, first.url.expose()).await;
    one.sees(ASK).await;
    let two = alice.tab().await;
    two.open(second.url.expose()).await;
    two.sees("Allow Report writer to use Notes?").await;
    one.press("Allow").await;
    one.sees(AT_NOTES).await;
    two.press("Allow").await;
    two.sees(AT_NOTES).await;
    sign_in_at_notes(&one, &ALICE.notes).await;
    one.press("Allow").await;
    one.sees(CONFIRM).await;
    two.reload().await;
    sign_in_at_notes(&two, &ALICE.notes).await;
    two.press("Allow").await;
    two.sees(CONFIRM).await;
    two.press("Attach this account").await;
    two.sees(DONE).await;
    one.press("Attach this account").await;
    one.sees(DONE).await;
    for workload in [TicketHelper, ReportWriter] {
        story.stage().grant(&ALICE, workload, READ).await;
    }

    // The same consent in two tabs: the one that is late is told how it ended.
    let wider = story.asked(READ_WRITE).await;
    one.open(wider.url.expose()).await;
    two.open(wider.url.expose()).await;
    two.press("Decline").await;
    two.sees("Declined").await;
    one.press("Allow").await;
    one.sees("Declined").await;
    assert_eq!(story.state(&wider).await, ConsentState::Declined);
    story.end().await;
}
