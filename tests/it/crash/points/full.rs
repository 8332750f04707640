//! The spool is full: nothing is asked of a provider whose answer could not be kept, neither with a refresh token nor with a code.

use std::time::Duration;

use broker::connection::spool::{Slot, SpoolError};
use broker_client::Outcome;
use broker_tests::stage::{READ, Stage, granted};
use demo::saas::Event;
use demo::walk;
use demo::world::{ALICE, Options, Workload::TicketHelper};

use super::scene::refreshes;

/// For two entries.
async fn stage() -> Stage {
    let amend = |text: String| text.replace("directory: spool\n", "directory: spool\n  max_entries: 2\n");
    let extra_config = "refresh: { ahead: false }".to_owned();
    Stage::with(Options { extra_config, amend_config: Some(Box::new(amend)), ..Options::default() }).await
}

/// Others take all the room.
async fn fill(stage: &Stage) -> [Slot; 2] {
    let spool = stage.world.rooms().tokens.spool();
    let taken = [spool.reserve().await.expect("room"), spool.reserve().await.expect("room")];
    assert!(matches!(spool.reserve().await, Err(SpoolError::Full)));
    taken
}

fn redeemed(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::TokensIssued { .. })).count()
}

/// The person is told to try again, and nothing is spent: neither the code nor the link. Whether they load the page again or begin again from
/// the link, they are connected.
///
/// Proves: RF5, CO12
#[tokio::test]
async fn rf5_co12_a_code_whose_tokens_could_not_be_kept_is_not_redeemed() {
    for reload in [true, false] {
        let stage = stage().await;
        let notes = stage.world.notes();
        let consent = stage.consent(&ALICE, TicketHelper, READ).await;
        let browser = stage.world.browser().expect("a browser");
        let taken = fill(&stage).await;
        let connect = || walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes);
        let page = connect().await.expect("a page");
        assert_eq!(
            (page.status, page.title()),
            (503, "The broker is busy · Token broker"),
            "{}",
            page.text()
        );
        assert!(page.text().contains("Wait a moment and try again."), "{}", page.text());
        assert!(page.url.path().starts_with("/oauth/callback/"), "{}", page.url);
        assert_eq!(redeemed(&notes.truth()), 0, "the provider is not asked for tokens");
        let mut database = stage.database().await;
        let exchanges = "SELECT count(*) FROM audit_events WHERE kind = 'consent.exchange'";
        assert_eq!(database.text(exchanges).await, "0", "and nothing says that it was");
        assert_eq!(database.text("SELECT state FROM consents").await, "approved");
        drop(taken);
        let page = match reload {
            true => walk::confirm(browser.get(page.url.as_str()).await.expect("the page again")).await,
            false => connect().await,
        };
        let page = page.expect("it goes on");
        assert_eq!(page.status, 200, "{}", page.text());
        granted(stage.ask(&ALICE, TicketHelper, READ).await);
        let truth = notes.truth();
        assert_eq!(redeemed(&truth), 1);
        assert!(!truth.iter().any(|event| matches!(event, Event::CodeReplayed { .. })), "{truth:?}");
        database.close().await;
        stage.stop().await;
    }
}

/// Proves: RF5
#[tokio::test]
async fn rf5_a_full_spool_stops_a_refresh_before_it_begins() {
    let stage = stage().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let taken = fill(&stage).await;
    let told = match stage.ask(&ALICE, TicketHelper, READ).await {
        Err(error) => error,
        Ok(other @ (Outcome::Grant(_) | Outcome::ConsentRequired(_))) => {
            panic!("a refusal was due: {other:?}")
        }
    };
    assert_eq!(told.reason(), "STORE_UNAVAILABLE", "{told:?}");
    assert_eq!(told.retry_after(), Some(Duration::from_secs(10)));
    assert_eq!(refreshes(&stage.world.notes().truth()), 0, "the provider is not asked");
    let mut database = stage.database().await;
    let intents = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.intent'";
    assert_eq!(database.text(intents).await, "0", "and no lease is taken");
    database.close().await;
    drop(taken);
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    assert_eq!(refreshes(&stage.world.notes().truth()), 1);
    stage.stop().await;
}
