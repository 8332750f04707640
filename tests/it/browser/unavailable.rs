//! A broker that cannot write, and people whom an administrator keeps out.

use super::story::{ASK, CONNECTIONS, Story};
use broker_client::proto::ConsentState;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::READ;
use demo::world::ALICE;

/// Proves: AU3, CO12
#[tokio::test]
async fn au3_what_cannot_be_recorded_is_not_done_and_can_be_tried_again() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    let mut database = story.stage().database().await;
    database.hold_log().await;
    tab.press("Allow").await;
    let page = tab.sees("The broker is busy").await;
    assert!(page.text.contains("Wait a moment and try again"), "{}", page.text);
    tab.judge("broker-busy").await;
    database.let_go().await;
    assert_eq!(story.state(&asked).await, ConsentState::Pending);
    tab.follow("Continue").await;
    tab.sees(ASK).await;
    tab.press("Decline").await;
    tab.sees("Declined").await;
    story.end().await;
}

/// Proves: RV3
#[tokio::test]
async fn rv3_a_blocked_person_is_told_so_and_is_welcome_again_when_it_is_lifted() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    let operator = Operator::of(&story.stage().world);
    operator.block(person(&ALICE)).await.expect("blocked");
    tab.press("Allow").await;
    let page = tab.sees("This is blocked").await;
    assert!(page.text.contains("ask your administrator"), "{}", page.text);
    tab.judge("blocked").await;
    assert_eq!(tab.open(&format!("{}/connections", story.origin)).await.heading, "This is blocked");
    assert_eq!(story.exchanged(), 0);
    operator.unblock(person(&ALICE)).await.expect("lifted");
    tab.open(&format!("{}/connections", story.origin)).await;
    tab.sees(CONNECTIONS).await;
    story.end().await;
}
