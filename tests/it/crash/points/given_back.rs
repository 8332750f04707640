//! What waits in the spool to be given back to a provider, and what waits there to be stored, do not wait for each other.

use std::sync::Arc;
use std::time::Duration;

use broker::connection::spool::{Record, Refreshed, Token};
use broker::domain::{AccessToken, ConnectionId, RefreshToken, SecretString, TenantId, Timestamp};
use broker::{usecase, worker};
use broker_client::Grant;
use broker_tests::stage::{READ, Stage};
use demo::saas::{Endpoint, Event, Fault};
use demo::world::{ALICE, BOB, Options, Workload::TicketHelper};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::scene::{BOUND, entries};

/// So many wait for a provider that never answers: a minute and more for all of them, even four at a time.
const MANY: usize = 24;
/// Less than two of them take there, one after another.
const AT_ONCE: Duration = Duration::from_secs(20);

async fn stage() -> Stage {
    Stage::with(Options { extra_config: "refresh: { ahead: false }".to_owned(), ..Options::default() }).await
}

/// Keeps tokens of a connection in the spool, so many times, that newer ones took the place of; the access token has ended.
async fn keep_outlived(stage: &Stage, grant: &Grant, many: usize) {
    let rooms = stage.world.rooms();
    let id = ConnectionId::parse(&grant.connection_id).expect("an id");
    let mut database = stage.database().await;
    let tenant = database.text("SELECT min(tenant) FROM connections").await;
    database.close().await;
    let owner = TenantId::parse(&tenant).expect("a tenant");
    let stored = rooms.store.connections.by_id(&owner, &id).await.expect("readable").expect("it is there");
    let connection = stored.row.check(&rooms.row_key()).expect("genuine");
    let (generation, scopes, now) = (1, connection.scopes.clone(), rooms.clock.now());
    let (access, refresh) = (connection.access_key(&scopes, generation), connection.refresh_key(generation));
    let old = || SecretString::from("replaced long ago");
    let access = rooms.vault.seal::<AccessToken>(&access, old()).await.expect("sealed");
    let refresh = rooms.vault.seal::<RefreshToken>(&refresh, old()).await.expect("sealed");
    let ended = now.minus(Duration::from_secs(1)).micros();
    let token = |envelope: &[u8]| Some(Token::new(scopes.canonical(), envelope, Some(ended), now.micros()));
    let (access, refresh) = (token(access.envelope()), token(refresh.envelope()));
    let record = Record::Refresh(Refreshed {
        tenant,
        connection: grant.connection_id.clone(),
        lease_owner: String::new(),
        lease_epoch: 0,
        sent: generation,
        generation,
        access,
        refresh,
        outlived: true,
    });
    for _ in 0..many {
        rooms.tokens.spool().reserve().await.expect("room").keep(&record).await.expect("it is kept");
    }
}

fn hanging(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Faulted { fault: "slow", .. })).count()
}

/// Proves: RF5, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_rf7_a_provider_that_hangs_while_it_is_told_delays_no_storing_and_no_stop() {
    let stage = stage().await;
    let hers = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let (notes, volume) = (stage.world.notes(), stage.world.path("spool"));
    keep_outlived(&stage, &hers, MANY).await;
    notes.script_at(Endpoint::Revoke, Fault::Slow(Arc::new(Notify::new())), 1000);
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(Arc::clone(stage.world.rooms()), stop.clone()));
    let told = notes.wait_until(|events| hanging(events) > 0);
    tokio::time::timeout(BOUND, told).await.expect("it is told");

    // His refresh has been answered when the database goes away, until its lease is over.
    let mut database = stage.database().await;
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let meanwhile = async {
        notes.wait_until(|events| events.iter().any(|e| matches!(e, Event::Refreshed { .. }))).await;
        database.hold_log().await;
        release.notify_one();
        while entries(&volume) <= MANY {
            tokio::task::yield_now().await;
        }
        stage.clock.advance(Duration::from_secs(60));
    };
    let both = async { tokio::join!(stage.ask(&BOB, TicketHelper, READ), meanwhile) };
    let (answer, ()) = tokio::time::timeout(BOUND, both).await.expect("it ends");
    assert!(answer.is_err(), "no row, no grant: {answer:?}");
    database.let_go().await;
    let stored = async {
        while database.text("SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'").await != "1" {
            stage.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_ONCE, stored).await.expect("it is stored at once");

    // Again one that hangs, and the stop does not wait for it.
    let before = hanging(&notes.truth());
    stage.clock.advance(Duration::from_secs(3600));
    let told = notes.wait_until(|events| hanging(events) > before);
    tokio::time::timeout(BOUND, told).await.expect("it is told again");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(6), working).await.expect("it stops at once").expect("no panic");
    assert_eq!(entries(&volume), MANY, "they are kept");
    database.close().await;
    stage.stop().await;
}

/// Proves: RV1
#[tokio::test]
async fn rv1_an_entry_that_its_provider_refuses_leaves_few_rows_in_a_day_and_goes_after_a_week() {
    const TRIES: &str = "SELECT count(*) FROM audit_events WHERE kind = 'provider_revocation.intent'";
    let stage = stage().await;
    let hers = stage.connect(&ALICE, TicketHelper, READ).await;
    keep_outlived(&stage, &hers, 1).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 10_000);
    let rooms = stage.world.rooms();
    let round = async || {
        usecase::drain_spool(rooms).await.expect("it can be read");
        usecase::give_back_spooled(rooms).await.expect("it can be tried");
    };
    let opening: Timestamp = rooms.clock.now();
    while rooms.clock.now() < opening.plus(Duration::from_secs(24 * 3600)) {
        round().await;
        stage.clock.advance(Duration::from_secs(5 * 60));
    }
    let mut database = stage.database().await;
    let tries: usize = database.text(TRIES).await.parse().expect("a number");
    assert!((20..=40).contains(&tries), "at first often, then each hour: {tries}");
    stage.clock.advance(Duration::from_secs(7 * 24 * 3600));
    round().await;
    assert_eq!(entries(&stage.world.path("spool")), 0, "nothing sealed is kept for ever");
    let events = database.events().await;
    let last = events.iter().rfind(|event| event.kind == "provider_revocation.result").expect("a result");
    assert_eq!(last.text("/detail/at_provider"), "given_up");
    database.close().await;
    stage.stop().await;
}
