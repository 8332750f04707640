//! The page that leads through several consents.

use super::story::{CONFIRM, Story, sign_in_at_notes};
use broker_tests::composite::both;
use demo::world::{ALICE, BOB};

const ALL: &str = "Ticket helper needs several connections";

/// Proves: GR6
#[tokio::test]
async fn gr6_the_page_leads_through_everything_and_comes_back_after_each() {
    let story = Story::begin().await;
    let required = story.duo().needed(&ALICE, both()).await;
    let (_, bobs) = story.opened(&BOB, &required.url).await;
    assert!(!bobs.sees("This link is not for this account").await.text.contains("Notes"));
    let (_, tab) = story.opened(&ALICE, &required.url).await;
    tab.sees(ALL).await;
    tab.reads("0 of 2 done").await;
    tab.judge("several").await;
    tab.follow("Continue with Notes").await;
    tab.sees("Allow Ticket helper to use Notes?").await;
    // The back button leads back, and forward again.
    assert_eq!(tab.back().await.heading, ALL);
    tab.follow("Continue with Notes").await;
    tab.sees("Allow Ticket helper to use Notes?").await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    tab.press("Allow").await;
    tab.sees(CONFIRM).await;
    tab.press("Attach this account").await;
    tab.reads("1 of 2 done").await;
    assert_eq!(tab.look().await.url, required.url);
    tab.judge("several-one-done").await;
    tab.follow("Continue with Tasks").await;
    tab.sees("Allow Ticket helper to use Tasks?").await;
    tab.press("Allow").await;
    tab.sees("Allow access?").await;
    tab.press("Allow").await;
    tab.sees(CONFIRM).await;
    tab.press_twice("Attach this account").await;
    tab.sees("All done").await;
    tab.judge("several-done").await;
    assert_eq!(story.duo().granted(&ALICE, both()).await.len(), 2);
    story.end().await;
}

/// Proves: GR6, CO12
#[tokio::test]
async fn gr6_two_tabs_show_the_same_and_what_was_declined() {
    let story = Story::begin().await;
    let required = story.duo().needed(&ALICE, both()).await;
    let (alice, one) = story.opened(&ALICE, &required.url).await;
    one.sees(ALL).await;
    let two = alice.tab().await;
    two.open(&required.url).await;
    one.follow("Continue with Notes").await;
    one.sees("Allow Ticket helper to use Notes?").await;
    one.press("Decline").await;
    one.sees(ALL).await;
    two.follow("Look again").await;
    assert!(two.reads("Declined").await.text.contains("0 of 2 done"));
    two.follow("Continue with Tasks").await;
    two.sees("Allow Ticket helper to use Tasks?").await;
    two.press("Allow").await;
    sign_in_at_notes(&two, &ALICE.notes).await;
    two.press("Deny").await;
    two.sees("Declined").await;
    two.follow("Back to the other connections").await;
    two.sees("Not everything was connected").await;
    two.judge("several-stopped").await;
    assert_eq!(story.exchanged(), 0);

    let one_left = story.duo().needed(&ALICE, vec![both().remove(0)]).await;
    one.open(&one_left.url).await;
    one.sees("Ticket helper needs a connection").await;
    one.judge("several-single").await;
    story.stage().clock.advance(std::time::Duration::from_secs(601));
    one.reload().await;
    one.sees("This request has ended").await;
    one.judge("several-expired").await;
    story.end().await;
}
