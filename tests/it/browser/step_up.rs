//! Questions about a connection that is there already.

use super::story::{ASK, DONE, Story, to_confirmation};
use broker_client::proto::ConsentReason;
use broker_tests::stage::{READ, READ_WRITE};
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};
use std::time::Duration;

const REPORTS: &str = "Allow Report writer to use Notes?";

/// Proves: CO9
#[tokio::test]
async fn co9_more_is_asked_for_and_what_stands_goes_on_until_it_is_given() {
    let story = Story::begin().await;
    let held = story.stage().connect(&ALICE, TicketHelper, READ).await;
    let wider = story.asked(READ_WRITE).await;
    let (_, tab) = story.opened(&ALICE, wider.url.expose()).await;
    let page = tab.sees(ASK).await;
    assert!(page.text.contains("It stays as it is until you have agreed"), "{}", page.text);
    tab.judge("step-up").await;
    to_confirmation(&tab, &ALICE.notes).await;
    let same = story.stage().grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(same.access_token.expose(), held.access_token.expose());
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    let both = story.stage().grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(both.connection_id, held.connection_id);
    story.end().await;
}

/// Proves: CO8, CO11
#[tokio::test]
async fn co11_another_server_another_account_and_the_choice_between_two() {
    let story = Story::begin().await;
    story.stage().connect(&ALICE, TicketHelper, READ).await;
    let other = story.stage().consent(&ALICE, ReportWriter, READ).await;
    let (_, tab) = story.opened(&ALICE, other.url.expose()).await;
    let page = tab.sees(REPORTS).await;
    assert!(page.text.contains("You have connected Notes as alice@notes.example already"), "{}", page.text);
    tab.judge("other-server").await;
    tab.press("Decline").await;
    tab.sees("Declined").await;

    // More, but with another account: said before it is attached, and the first stays.
    let wider = story.asked(READ_WRITE).await;
    tab.open(wider.url.expose()).await;
    tab.sees(ASK).await;
    let page = to_confirmation(&tab, &BOB.notes).await;
    assert!(
        page.text.contains("This is a different account from the one you connected before"),
        "{}",
        page.text
    );
    tab.judge("confirm-other-account").await;
    tab.press("Attach this account").await;
    tab.sees(DONE).await;

    let choice = story.stage().consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(choice.reason, ConsentReason::ChooseAccount);
    tab.open(choice.url.expose()).await;
    tab.sees("Which Notes account may Report writer use?").await;
    tab.judge("choose-account").await;
    tab.press("Allow").await;
    assert_eq!(tab.look().await.heading, "Which Notes account may Report writer use?", "choose first");
    tab.choose(BOB.notes.name).await;
    tab.press("Allow").await;
    tab.sees(DONE).await;
    assert_eq!(story.stage().grant(&ALICE, ReportWriter, READ).await.account_label, BOB.notes.name);
    story.end().await;
}

/// Proves: CO8, CO12
#[tokio::test]
async fn co12_a_connection_that_the_provider_has_ended_is_made_again() {
    let story = Story::begin().await;
    story.stage().connect(&ALICE, TicketHelper, READ).await;
    assert_eq!(story.stage().world.notes().disconnect(ALICE.notes.name), 1);
    story.stage().clock.advance(Duration::from_secs(24 * 3600));
    let again = story.asked(READ).await;
    assert_eq!(again.reason, ConsentReason::ReauthRequired);
    let (_, tab) = story.opened(&ALICE, again.url.expose()).await;
    let page = tab.sees(ASK).await;
    assert!(page.text.contains("Notes has ended your connection"), "{}", page.text);
    tab.judge("reconnect").await;
    to_confirmation(&tab, &ALICE.notes).await;
    tab.press("Attach this account").await;
    tab.sees(DONE).await;
    story.stage().grant(&ALICE, TicketHelper, READ).await;
    story.end().await;
}

/// Proves: GR1, CO8
#[tokio::test]
async fn gr1_a_key_that_cannot_be_made_smaller_is_said_to_be_so() {
    let amend = |config: String| config.replace("narrowing: refresh_with_scope", "narrowing: none");
    let story = Story::with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await;
    story.stage().connect(&ALICE, TicketHelper, READ_WRITE).await;
    let first = story.stage().consent(&ALICE, ReportWriter, READ).await;
    let (_, tab) = story.opened(&ALICE, first.url.expose()).await;
    tab.sees(REPORTS).await;
    tab.press("Allow").await;
    tab.sees(DONE).await;
    let wider = story.stage().consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(wider.reason, ConsentReason::WiderThanApproved);
    tab.open(wider.url.expose()).await;
    let page = tab.sees(REPORTS).await;
    assert!(page.text.contains("cannot hand out a smaller key"), "{}", page.text);
    tab.judge("wider").await;
    tab.press("Allow").await;
    tab.sees(DONE).await;
    story.stage().grant(&ALICE, ReportWriter, READ).await;
    story.end().await;
}
