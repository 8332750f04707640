//! One person connects: every page of the way.

use super::story::{
    ASK, CONFIRM, CONNECTIONS, DONE, LEAVING, SIGN_IN, Story, sign_in, sign_in_at_notes, to_confirmation,
};
use broker_client::proto::ConsentState;
use broker_tests::stage::{READ, READ_WRITE};
use demo::world::{ALICE, Workload::TicketHelper};

/// Proves: CO6, CO7, CO11
#[tokio::test]
async fn co7_from_the_link_to_the_grant_every_page_can_be_used_by_everybody() {
    let story = Story::begin().await;
    let asked = story.asked(READ_WRITE).await;
    let alice = story.chromium.profile().await;
    let tab = alice.tab().await;
    tab.open(asked.url.expose()).await;
    sign_in(&tab, &ALICE.sso).await;
    let page = tab.sees(ASK).await;
    assert_eq!(page.url, asked.url.expose(), "back from sign-in");
    for told in
        ["Ticket helper", "Notes", "Alice Example", "list_notes", "Show notes", "Read your notes", "Write"]
    {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    tab.judge("consent").await;

    alice.silence(&format!("{}/authorize", story.notes())).await;
    tab.press("Allow").await;
    tab.sees(LEAVING).await;
    tab.judge("leaving").await;
    // A browser that does not go by itself has a link.
    alice.unsilence().await;
    tab.follow("Continue to 127.0.0.1").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    assert_eq!(story.state(&asked).await, ConsentState::Approved);
    tab.press("Allow").await;
    let page = tab.sees(CONFIRM).await;
    assert!(
        page.text.contains("The Notes account alice@notes.example will be attached to you"),
        "{}",
        page.text
    );
    tab.judge("confirm").await;
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    tab.judge("done").await;

    let grant = story.stage().grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(grant.account_label, ALICE.notes.name);
    assert_eq!((story.exchanged(), story.count("consent.completed").await), (1, 1));
    // A cookie of the pages is never one for scripts, other hosts or plain connections.
    for cookie in alice.cookies(&story.origin).await {
        let name = cookie["name"].as_str().expect("a name");
        assert!(name.starts_with("__Host-broker-"), "{name}");
        let kept = (&cookie["httpOnly"], &cookie["secure"], &cookie["sameSite"]);
        assert_eq!(kept, (&true.into(), &true.into(), &"Lax".into()), "{name}");
    }
    story.end().await;
}

/// Proves: CO6, CO7
#[tokio::test]
async fn co7_the_whole_way_without_script() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let plain = story.chromium.profile_with(serde_json::json!({ "javaScriptEnabled": false })).await;
    let tab = plain.tab().await;
    tab.open(asked.url.expose()).await;
    tab.sees(SIGN_IN).await;
    sign_in(&tab, &ALICE.sso).await;
    tab.sees(ASK).await;
    to_confirmation(&tab, &ALICE.notes).await;
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    tab.follow("See your connections").await;
    tab.sees(CONNECTIONS).await;
    story.stage().grant(&ALICE, TicketHelper, READ).await;
    story.end().await;
}
