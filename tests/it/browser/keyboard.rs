//! A consent without a mouse.

use super::story::{ASK, AT_NOTES, CONFIRM, DONE, NOTES_ASKS, SIGN_IN, Story};
use broker_tests::chromium::Tab;
use broker_tests::stage::READ_WRITE;
use demo::world::{ALICE, Account, Workload::TicketHelper};

/// Every stop of the Tab key on this page of ours, in order: each with a ring around it.
async fn stops(tab: &Tab, names: &[&str]) {
    for name in names {
        tab.key("Tab").await;
        let focus = tab.focus().await;
        assert_eq!(focus.name, *name);
        assert!(focus.rings, "{focus:?}");
    }
}

/// A sign-in whose first field has the focus.
async fn types(tab: &Tab, heading: &str, account: &Account) {
    tab.sees(heading).await;
    tab.types(account.name).await;
    tab.key("Tab").await;
    tab.types(account.password).await;
    tab.key("Enter").await;
}

/// Proves: CO7
#[tokio::test]
async fn co7_a_consent_by_keyboard_alone() {
    let story = Story::begin().await;
    let asked = story.asked(READ_WRITE).await;
    let tab = story.chromium.profile().await.tab().await;
    tab.open(asked.url.expose()).await;
    types(&tab, SIGN_IN, &ALICE.sso).await;
    tab.sees(ASK).await;
    stops(&tab, &["Token broker", "Sign out", "Allow", "Decline"]).await;
    tab.key("Shift+Tab").await;
    tab.key("Enter").await;
    types(&tab, AT_NOTES, &ALICE.notes).await;
    tab.sees(NOTES_ASKS).await;
    tab.key("Tab").await;
    assert_eq!(tab.focus().await.name, "Allow");
    tab.key("Space").await;
    tab.sees(CONFIRM).await;
    stops(&tab, &["Token broker", "Sign out", "Attach this account", "Do not attach it"]).await;
    tab.key("Shift+Tab").await;
    tab.key("Space").await;
    tab.sees(DONE).await;
    stops(&tab, &["Token broker", "Sign out", "See your connections"]).await;
    tab.key("Enter").await;
    tab.sees("Your connections").await;
    stops(&tab, &["Token broker", "Sign out", "Disconnect Notes, alice@notes.example"]).await;
    story.stage().grant(&ALICE, TicketHelper, READ_WRITE).await;
    story.end().await;
}
