//! A clock is set while a refresh is on its way: the machine's, or the database's. Leases end by the database's, which their holder does not
//! look at, and its own share of one is measured on a clock that nobody sets.

use std::sync::Arc;
use std::time::Duration;

use broker_client::{Error, Outcome};
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, Stage, granted};
use demo::saas::Fault;
use demo::world::{ALICE, Options, Workload::TicketHelper};
use futures::future::join_all;
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Told, accepted, refreshes};

const STORED: &str = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'";
const HELD: &str = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";

fn options(class: Class) -> Options {
    let amend = move |text: String| text.replace("rotation: family_revoking", class.configured());
    let extra_config = "refresh: { ahead: false }".to_owned();
    Options { extra_config, amend_config: Some(Box::new(amend)), ..Options::default() }
}

/// A refresh is on its way while something `happens`; what its caller is told.
async fn during_a_refresh(stage: &Stage, class: Class, happens: impl FnOnce()) -> Result<Outcome, Error> {
    let notes = stage.world.notes();
    notes.set_rotation(class.truth());
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let jump = async {
        let asked = notes.wait_until(|events| refreshes(events) == 1);
        tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
        happens();
        release.notify_one();
    };
    tokio::join!(stage.ask(&ALICE, TicketHelper, READ), jump).0
}

/// The clocks are right again: it is stored once, its lease is given back, and what is stored is the newest.
async fn nothing_is_lost(stage: Stage, class: Class) {
    let mut database = stage.database().await;
    assert_eq!(database.text(HELD).await, "0", "{class:?}");
    assert_eq!(database.text(STORED).await, "1", "{class:?}");
    database.close().await;
    stage.clock.advance(Duration::from_secs(700));
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    assert_eq!(accepted(&stage.world.notes().truth()), (2, 2), "{class:?}: no token is sent twice");
    stage.stop().await;
}

/// What the caller is told depends on what the clock says of the token; what is stored does not.
async fn machine_jumps(stage: Stage, class: Class, hours: i64) {
    let answer = during_a_refresh(&stage, class, || stage.clock.jump(hours * 3600)).await;
    println!("{class:?}, {hours} h: {answer:?}");
    stage.clock.jump(-hours * 3600);
    nothing_is_lost(stage, class).await;
}

/// Proves: RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_a_clock_that_jumps_during_a_refresh_costs_nothing() {
    for hours in [-3_i64, 3] {
        join_all(Class::ALL.map(async |class| {
            machine_jumps(Stage::with(options(class)).await, class, hours).await;
        }))
        .await;
    }
}

/// The machine's against a database that has a clock of its own.
///
/// Proves: RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_a_machines_clock_that_jumps_beside_its_databases_costs_nothing() {
    for hours in [-3_i64, 3] {
        join_all(Class::ALL.map(async |class| {
            let stage = Stage::with_rows_in(&PgDatabase::create(), options(class)).await;
            machine_jumps(stage, class, hours).await;
        }))
        .await;
    }
}

/// By the database's the lease is over long since, or has hours left: its holder stores what it got, and gives it back.
///
/// Proves: RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_a_databases_clock_that_jumps_during_a_refresh_costs_its_holder_nothing() {
    for hours in [-3_i64, 3] {
        join_all(Class::ALL.map(async |class| {
            let database = PgDatabase::create();
            let stage = Stage::with_rows_in(&database, options(class)).await;
            let jump = |hours: i64| {
                let by = hours * 3600 * 1_000_000;
                database.sql(&format!("UPDATE test_clock SET micros = micros + ({by})"));
            };
            let answer = during_a_refresh(&stage, class, || jump(hours)).await;
            granted(answer);
            jump(-hours);
            nothing_is_lost(stage, class).await;
        }))
        .await;
    }
}

/// Its holder is dead, and by the database's clock the lease has been taken in an hour: nobody sends the token until that clock has caught up,
/// or is right again.
///
/// Proves: RF2, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_rf7_a_databases_clock_that_is_put_back_keeps_the_lease_of_a_dead_holder() {
    const HOUR: i64 = 3600;
    join_all([Class::Stays, Class::FamilyRevoking].map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        scene.victim(Some("refresh.after_intent")).await.dies(&scene).await;
        let sent = scene.refreshes();
        scene.to_lease_end(-30 - HOUR);
        // As if it lived: its answer is waited for, and whoever waited is told to come back.
        assert_eq!(
            scene.ask().await,
            Told::Later(Some(Duration::from_secs(1))),
            "{class:?}: it is left alone"
        );
        assert_eq!(scene.refreshes(), sent, "{class:?}");
        scene.to_lease_end(-5);
        assert_eq!(scene.settled().await, Told::Granted, "{class:?}");
        assert_eq!(accepted(&scene.site.notes().truth()), (sent + 1, sent + 1), "{class:?}");
        assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
        scene.end().await;
    }))
    .await;
}
