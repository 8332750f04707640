//! A person's own connections, and ending one.

use super::story::{CONNECTIONS, Story};
use broker_client::proto::ConsentReason;
use broker_tests::stage::{READ, READ_WRITE};
use demo::saas::{Endpoint, Fault};
use demo::world::{ALICE, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: RV1, CO6
#[tokio::test]
async fn rv1_the_list_and_the_way_to_end_a_connection() {
    let story = Story::begin().await;
    let list = format!("{}/connections", story.origin);
    let (alice, tab) = story.opened(&ALICE, &list).await;
    let page = tab.sees(CONNECTIONS).await;
    assert!(page.text.contains("Nothing is connected."), "{}", page.text);
    tab.judge("connections-none").await;

    story.stage().connect(&ALICE, TicketHelper, READ_WRITE).await;
    let other = story.stage().consent(&ALICE, ReportWriter, READ).await;
    story.stage().walk(&ALICE, &other).await;
    let page = tab.reload().await;
    for told in
        ["Notes", ALICE.notes.name, "Working", "Ticket helper", "Report writer", "Write notes in your name"]
    {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    tab.judge("connections").await;

    tab.follow("Disconnect Notes, alice@notes.example").await;
    tab.sees("Disconnect Notes?").await;
    tab.judge("disconnect").await;
    tab.follow("Keep it").await;
    tab.sees(CONNECTIONS).await;
    let grant = story.stage().grant(&ALICE, TicketHelper, READ).await;
    // Two tabs: the second finds it gone.
    let late = alice.tab().await;
    late.open(&list).await;
    late.follow("Disconnect Notes, alice@notes.example").await;
    late.sees("Disconnect Notes?").await;
    tab.back().await;
    tab.sees("Disconnect Notes?").await;
    tab.press("Disconnect").await;
    let page = tab.sees("Disconnected").await;
    assert!(page.text.contains("Notes confirmed that the access has ended there too"), "{}", page.text);
    assert!(!story.stage().facts(&grant).live);
    tab.judge("disconnected").await;
    late.press("Disconnect").await;
    assert!(late.sees(CONNECTIONS).await.text.contains("Nothing is connected."));
    // A double click ends on the outcome of either press.
    story.stage().connect(&ALICE, TicketHelper, READ).await;
    late.reload().await;
    late.follow("Disconnect Notes, alice@notes.example").await;
    late.sees("Disconnect Notes?").await;
    late.press_twice("Disconnect").await;
    late.sees_one_of(&["Disconnected", CONNECTIONS]).await;
    assert_eq!(story.count("connection.revoked").await, 2, "once each");
    assert_eq!(story.asked(READ).await.reason, ConsentReason::NotConnected);
    story.end().await;
}

/// Proves: RV1, RV8
#[tokio::test]
async fn rv8_a_provider_that_cannot_be_told_is_said_to_be_so() {
    let story = Story::begin().await;
    story.stage().connect(&ALICE, TicketHelper, READ).await;
    let (_, tab) = story.opened(&ALICE, &format!("{}/connections", story.origin)).await;
    tab.sees(CONNECTIONS).await;
    story.stage().world.notes().script_at(Endpoint::Revoke, Fault::Status500, 9);
    tab.follow("Disconnect Notes, alice@notes.example").await;
    tab.sees("Disconnect Notes?").await;
    tab.press("Disconnect").await;
    let page = tab.sees("Disconnected").await;
    assert!(page.text.contains("goes on trying") && page.text.contains("until"), "{}", page.text);
    tab.judge("disconnected-later").await;
    story.end().await;
}
