//! After an outage: a token whose answer is kept here is not sent again, and one that was never sent counts as if nobody had begun.

use std::sync::Arc;
use std::time::Duration;

use broker_client::{GrantRequest, Outcome};
use broker_tests::cable::{Cable, Quality};
use broker_tests::postgres::PgDatabase;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::{READ, Stage, granted, refused};
use demo::saas::{Event, Fault};
use demo::world::{ALICE, Options, PROVIDER, Workload::TicketHelper};
use tokio::sync::Notify;

use super::scene::{BOUND, entries};

/// How long the server is not there: a commit is given up after five seconds.
const OUTAGE: Duration = Duration::from_secs(12);
/// How long a caller waits.
const PATIENCE: Duration = Duration::from_secs(2);

fn options() -> Options {
    Options { extra_config: "refresh: { ahead: false }".to_owned(), ..Options::default() }
}

fn refreshed(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
}

/// The database takes nothing until the lease is over and for a while longer. Whoever calls first when it is back finds the spool not
/// emptied yet: the token that was sent is not sent again, and the entry is the next thing that is stored.
///
/// Proves: RF5, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_rf7_a_token_whose_answer_waits_in_the_own_spool_is_not_sent_again() {
    let stage = Stage::with(options()).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let (notes, volume, rooms) = (stage.world.notes(), stage.world.path("spool"), stage.world.rooms());
    let mut database = stage.database().await;
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let meanwhile = async {
        notes.wait_until(|events| refreshed(events) > 0).await;
        database.hold_log().await;
        release.notify_one();
        while entries(&volume) == 0 {
            tokio::task::yield_now().await;
        }
        stage.clock.advance(Duration::from_secs(60));
    };
    let both = async { tokio::join!(stage.ask(&ALICE, TicketHelper, READ), meanwhile) };
    let (answer, ()) = tokio::time::timeout(BOUND, both).await.expect("it ends");
    assert!(answer.is_err(), "no row, no grant: {answer:?}");
    rooms.detached.close();
    tokio::time::timeout(BOUND, rooms.detached.wait()).await.expect("its holder gives up");
    rooms.detached.reopen();
    // The worker's tries fail, one after the other.
    for _ in 0..4 {
        stage.clock.advance(Duration::from_secs(1));
        let failed = async {
            while !rooms.tokens.spool().waiting().await.expect("it can be read").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, failed).await.expect("it is tried again after a second");
        assert_eq!(entries(&volume), 1);
    }
    database.let_go().await;

    let answer = stage.ask(&ALICE, TicketHelper, READ).await;
    assert_eq!(refused(answer), "PROVIDER_UNAVAILABLE", "its answer is about to be stored");
    assert_eq!(refreshed(&notes.truth()), 1, "and is asked for no second time");
    stage.clock.advance(Duration::from_secs(1));
    let stored = async {
        while entries(&volume) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, stored)
        .await
        .expect("it is stored a second later, however often it was tried");
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    let truth = notes.truth();
    assert!(!truth.iter().any(|event| matches!(event, Event::ReuseDetected { .. })), "{truth:?}");
    assert_eq!(refreshed(&truth), 1);
    database.close().await;
    stage.stop().await;
}

/// The intent is committed, and the broker is not told; nothing is sent. When the database is back, the lease is given back: nobody waits for
/// a token that is on no way, and however often that happens, the person is not asked.
///
/// Proves: RF11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf11_a_lease_whose_acknowledgement_was_lost_in_an_outage_is_given_back() {
    const ATTEMPTS: &str = "SELECT max(attempts) FROM connections";
    let database = PgDatabase::durable();
    let cable = Cable::to(database.server().socket()).await;
    database.reached_at(&cable.address().to_string());
    let replicas = Replicas::on(1, database, options()).await;
    // A token that ends so soon is handed to nobody twice.
    replicas.site.notes().set_access_lifetime(5);
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    let url = replicas.at(0).grpc_url();
    let client = client(&replicas.site, &url, TicketHelper, PATIENCE).await;
    let ask = async || {
        let assertion = replicas.site.assertion(&ALICE, TicketHelper);
        client.issue_grant(&GrantRequest::new(assertion, PROVIDER, READ.iter().copied())).await
    };
    let before = refreshed(&replicas.site.notes().truth());
    let detached = &replicas.at(0).rooms().detached;
    // With a third one nobody would know what became of the token.
    for time in 1..=2 {
        cable.keep_the_acknowledgement_of("refresh.intent");
        let crashes = async {
            tokio::time::timeout(BOUND, cable.silent()).await.expect("a commit is on its way");
            assert_eq!(replicas.database.sql(ATTEMPTS), "1", "time {time}: it is committed");
            replicas.database.server().crash();
            cable.is(Quality::Good);
        };
        let (answer, ()) = tokio::join!(ask(), crashes);
        answer.expect_err("nobody knows whether it was committed");
        let ended = async {
            while !detached.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(OUTAGE, ended).await.expect_err("it goes on trying");
        replicas.database.server().restart();
        let given_back = async {
            while replicas.database.sql(ATTEMPTS) != "0" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, given_back).await.expect("it is given back");
    }
    let served = async {
        loop {
            match ask().await {
                Ok(Outcome::Grant(_)) => return,
                Ok(other) => panic!("its owner is asked for nothing: {other:?}"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(BOUND, served).await.expect("served again without a human");
    assert_eq!(refreshed(&replicas.site.notes().truth()), before + 1);
    replicas.stop().await;
}
