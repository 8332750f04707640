//! The key that would seal what a provider gives cannot be had: before a refresh it is not begun, and during one it is not needed.

use std::sync::Arc;
use std::time::Duration;

use broker_client::Outcome;
use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage, granted, refused};
use demo::saas::Fault;
use demo::world::{ALICE, Options, Workload::TicketHelper};
use tokio::sync::Notify;

use super::scene::{BOUND, accepted, emptied, entries, refreshes};

/// A key is read anew after this.
const YOUNG: Duration = Duration::from_secs(300);
/// Its lease is held, or says that a token may be on its way.
const HELD: &str = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";
const INTENTS: &str = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.intent'";
const STORED: &str = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'";
const LATCHED: &str = "SELECT count(*) FROM audit_events WHERE kind = 'connection.reauth_required'";

async fn stage() -> Stage {
    Stage::with(Options { extra_config: "refresh: { ahead: false }".to_owned(), ..Options::default() }).await
}

/// The root key that wraps the tenant's keys is another one for a while, or is the right one again.
async fn lose_key(database: &mut Database, lost: bool) {
    let by = if lost { "wrapped_by || '-lost'" } else { "replace(wrapped_by, '-lost', '')" };
    database.edit(&format!("UPDATE tenant_keys SET wrapped_by = {by} WHERE tenant <> ''")).await;
}

/// Nothing is sent, no lease is left behind and nobody is at it afterwards; with the key it goes on.
///
/// Proves: RF5, RF11
#[tokio::test]
async fn rf5_rf11_a_refresh_without_a_key_to_seal_with_is_not_begun() {
    let stage = stage().await;
    let first = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let (notes, rooms) = (stage.world.notes(), stage.world.rooms());
    let mut database = stage.database().await;
    lose_key(&mut database, true).await;
    for _ in 0..3 {
        // Not even the refusal can be written down: what names people in the log is sealed with the same key.
        assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "AUDIT_UNAVAILABLE");
        assert_eq!(refreshes(&notes.truth()), 0, "the provider is not asked");
        assert!(rooms.detached.is_empty(), "nobody tries to give back what was not taken");
        assert_eq!((database.text(INTENTS).await, database.text(HELD).await), ("0".into(), "0".into()));
    }
    assert_eq!(entries(&stage.world.path("spool")), 0);
    lose_key(&mut database, false).await;
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_ne!(grant.access_token.expose(), first.access_token.expose());
    assert_eq!((refreshes(&notes.truth()), database.text(LATCHED).await), (1, "0".into()));
    database.close().await;
    stage.stop().await;
}

/// It was at hand before the provider was asked: what comes is sealed with it and kept, and stored when it can be written down.
///
/// Proves: RF5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_a_key_that_is_lost_while_the_provider_is_asked_costs_no_token() {
    let stage = stage().await;
    let notes = stage.world.notes();
    notes.set_access_lifetime(i64::try_from(YOUNG.as_secs()).expect("small") - 10);
    stage.connect(&ALICE, TicketHelper, READ).await;
    // The token has ended, and the key has not.
    stage.clock.advance(YOUNG - Duration::from_secs(1));
    let volume = stage.world.path("spool");
    let mut database = stage.database().await;
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let meanwhile = async {
        let asked = notes.wait_until(|events| refreshes(events) == 1);
        tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
        lose_key(&mut database, true).await;
        stage.clock.advance(Duration::from_secs(2));
        release.notify_one();
        let kept = async {
            while entries(&volume) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, kept).await.expect("it is sealed and kept");
        assert_eq!(database.text(STORED).await, "0", "it cannot be written down");
        lose_key(&mut database, false).await;
    };
    let both = async { tokio::join!(stage.ask(&ALICE, TicketHelper, READ), meanwhile) };
    let (answer, ()) = tokio::time::timeout(BOUND, both).await.expect("it ends");
    assert!(!matches!(answer, Ok(Outcome::ConsentRequired(_))), "its owner is asked for nothing: {answer:?}");
    emptied(&volume).await;
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    assert_eq!(refreshes(&notes.truth()), 1, "with what was kept");
    assert_eq!((database.text(STORED).await, database.text(HELD).await), ("1".into(), "0".into()));
    stage.clock.advance(Duration::from_secs(700));
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    assert_eq!(accepted(&notes.truth()), (2, 2), "the newest token is stored");
    assert_eq!(database.text(LATCHED).await, "0");
    database.close().await;
    stage.stop().await;
}
