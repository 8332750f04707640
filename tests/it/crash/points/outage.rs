//! The database is killed between the provider's answer and the commit; the spool has no room; the clock jumps.

use std::sync::Arc;
use std::time::Duration;

use broker_client::Outcome;
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, Stage, granted, refused};
use demo::saas::{Event, Fault};
use demo::world::{ALICE, Options, Workload::TicketHelper};
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Told};

const STORED: &str = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'";

/// Killed as by a power failure, and away until the broker that has the new token is killed as well.
///
/// Proves: RF5, RF11, AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_a_database_that_is_killed_before_the_commit_costs_no_token() {
    futures::future::join_all(Class::ALL.map(killed_with_the_broker)).await;
}

async fn killed_with_the_broker(class: Class) {
    let scene = Scene::set(class, PgDatabase::durable()).await;
    let victim = scene.victim(None).await;
    let before = scene.refreshes();
    let crash = async {
        crash_while_it_answers(&scene, class, before).await;
        victim.process.kill().await;
    };
    let (answer, ()) = tokio::join!(scene.ask_by(&victim.client), crash);
    assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: no row, no grant");
    scene.database.server().restart();
    let back = scene.victim(None).await;
    assert_eq!(scene.kept(), 0, "{class:?}: it is stored by the start");
    // A token that stays was in no spool: it is sent again after the lease.
    let told = if class == Class::Stays { scene.settled().await } else { scene.ask().await };
    assert_eq!(told, Told::Granted, "{class:?}");
    assert_eq!(scene.refreshes(), before + 2, "{class:?}");
    assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
    back.process.terminate().await;
    assert!(back.process.ended().await.0.success());
    scene.end().await;
}

/// The database is away for a while only: the broker that lives stores it by itself.
///
/// Proves: RF5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_what_waits_in_the_spool_is_stored_as_soon_as_the_database_is_back() {
    futures::future::join_all(Class::ALL.map(away_for_a_while)).await;
}

async fn away_for_a_while(class: Class) {
    let scene = Scene::set(class, PgDatabase::durable()).await;
    let victim = scene.victim(None).await;
    let (before, stored) = (scene.refreshes(), scene.events("refresh.stored"));
    let outage = async {
        crash_while_it_answers(&scene, class, before).await;
        scene.database.server().restart();
        scene.until(STORED, &(stored + 1).to_string()).await;
        scene.emptied().await;
    };
    let (_answer, ()) = tokio::join!(scene.ask_by(&victim.client), outage);
    assert_eq!(scene.ask().await, Told::Granted, "{class:?}");
    assert_eq!(scene.refreshes(), before + 2, "{class:?}");
    victim.process.terminate().await;
    assert!(victim.process.ended().await.0.success());
    scene.end().await;
}

/// The provider is asked, the database ends, and only then the answer comes: where it is to be kept it is in the spool when this returns.
async fn crash_while_it_answers(scene: &Scene, class: Class, before: usize) {
    let release = Arc::new(Notify::new());
    scene.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    scene.refreshed(before + 1).await;
    scene.database.server().crash();
    release.notify_one();
    let kept = async {
        while class != Class::Stays && scene.kept() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, kept).await.expect("it is in the spool");
}

/// Nothing is asked of a provider whose answer could not be kept; as soon as there is room it is.
///
/// Proves: RF5
#[tokio::test]
async fn rf5_a_spool_without_room_stops_a_refresh_before_it_begins() {
    let stage = Stage::start().await;
    let first = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let volume = stage.world.path("spool");
    let away = stage.world.path("spool-away");
    std::fs::rename(&volume, &away).expect("the volume is taken away");
    std::fs::write(&volume, "no directory").expect("a file in its place");
    let asked = || {
        let truth = stage.world.notes().truth();
        truth.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
    };
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "STORE_UNAVAILABLE");
    assert_eq!(asked(), 0, "the provider was not asked");
    let mut database = stage.database().await;
    let intents = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.intent'";
    assert_eq!(database.text(intents).await, "0", "and no lease was taken");
    database.close().await;
    std::fs::remove_file(&volume).expect("the file");
    std::fs::rename(&away, &volume).expect("the volume is back");
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_ne!(grant.access_token.expose(), first.access_token.expose());
    assert_eq!(asked(), 1);
    stage.stop().await;
}

/// The machine's clock is set while a call is on its way: the lease is measured on clocks that are not.
///
/// Proves: RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_a_clock_that_jumps_during_a_refresh_costs_nothing() {
    for hours in [-3_i64, 3] {
        futures::future::join_all(Class::ALL.map(|class| jumps(class, hours))).await;
    }
}

async fn jumps(class: Class, hours: i64) {
    let amend = move |text: String| text.replace("rotation: family_revoking", class.configured());
    let stage = Stage::with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await;
    let notes = stage.world.notes();
    notes.set_rotation(class.truth());
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(700));
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let jump = async {
        let refreshed = |events: &[Event]| events.iter().any(|e| matches!(e, Event::Refreshed { .. }));
        tokio::time::timeout(BOUND, notes.wait_until(refreshed)).await.expect("the provider is asked");
        stage.clock.jump(hours * 3600);
        release.notify_one();
    };
    let (_answer, ()) = tokio::join!(stage.ask(&ALICE, TicketHelper, READ), jump);
    stage.clock.jump(-hours * 3600);
    let mut database = stage.database().await;
    let held = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";
    assert_eq!(database.text(held).await, "0", "{class:?}");
    assert_eq!(database.text(STORED).await, "1", "{class:?}");
    database.close().await;
    stage.clock.advance(Duration::from_secs(700));
    granted(stage.ask(&ALICE, TicketHelper, READ).await);
    stage.stop().await;
}
