//! The database is killed between the provider's answer and the commit; the spool has no room; the clock jumps.

use std::sync::Arc;
use std::time::Duration;

use broker_client::Outcome;
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, Stage, granted, refused};
use demo::saas::{Event, Fault};
use demo::world::{ALICE, Workload::TicketHelper};
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Told, refreshes};

/// Killed as by a power failure, and away until the broker that has the new token is killed as well.
///
/// Proves: RF5, RF11, AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_a_database_that_is_killed_before_the_commit_costs_no_token() {
    let scene = Scene::set(Class::FamilyRevoking, PgDatabase::durable()).await;
    let victim = scene.victim(None).await;
    let before = scene.refreshes();
    let crash = async {
        crash_while_it_answers(&scene, before).await;
        victim.process.kill().await;
    };
    let (answer, ()) = tokio::join!(scene.ask_by(&victim.client), crash);
    assert!(!matches!(answer, Ok(Outcome::Grant(_))), "no row, no grant");
    scene.database.server().restart();
    let back = scene.victim(None).await;
    assert_eq!(entries(&scene), 0, "it is stored by the start");
    assert_eq!(scene.ask().await, Told::Granted);
    assert_eq!(scene.refreshes(), before + 2);
    assert_eq!(scene.events("connection.reauth_required"), 0);
    back.process.terminate().await;
    scene.end().await;
}

/// The database is away for a while only: the broker that lives stores it by itself.
///
/// Proves: RF5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_what_waits_in_the_spool_is_stored_as_soon_as_the_database_is_back() {
    let scene = Scene::set(Class::SingleUse, PgDatabase::durable()).await;
    let victim = scene.victim(None).await;
    let before = scene.refreshes();
    let outage = async {
        crash_while_it_answers(&scene, before).await;
        scene.database.server().restart();
        let stored = async {
            while entries(&scene) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, stored).await.expect("it is stored");
    };
    let (_answer, ()) = tokio::join!(scene.ask_by(&victim.client), outage);
    assert_eq!(scene.ask().await, Told::Granted);
    assert_eq!(scene.refreshes(), before + 2);
    victim.process.terminate().await;
    scene.end().await;
}

/// The provider is asked, the database ends, and only then the answer comes: it is in the spool when this returns.
async fn crash_while_it_answers(scene: &Scene, before: usize) {
    let notes = scene.site.notes();
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let asked = notes.wait_until(|events| refreshes(events) > before);
    tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
    scene.database.server().crash();
    release.notify_one();
    let kept = async {
        while entries(scene) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, kept).await.expect("it is in the spool");
}

fn entries(scene: &Scene) -> usize {
    let Ok(volume) = std::fs::read_dir(scene.site.path("spool-of-the-victim")) else { return 0 };
    let files = volume.flatten().filter_map(|own| std::fs::read_dir(own.path()).ok()).flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "entry")).count()
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
        let stage = Stage::start().await;
        stage.connect(&ALICE, TicketHelper, READ).await;
        stage.clock.advance(Duration::from_secs(700));
        let notes = stage.world.notes();
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
        assert_eq!(database.text(held).await, "0");
        let stored = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'";
        assert_eq!(database.text(stored).await, "1");
        database.close().await;
        stage.clock.advance(Duration::from_secs(700));
        granted(stage.ask(&ALICE, TicketHelper, READ).await);
        stage.stop().await;
    }
}
