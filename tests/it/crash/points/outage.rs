//! The database is killed between the provider's answer and the commit; the spool has no room.

use std::sync::Arc;
use std::time::Duration;

use broker_client::{Error, Outcome};
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, Stage, refused};
use demo::saas::{Event, Fault};
use demo::world::{ALICE, Workload::TicketHelper};
use futures::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::scene::{BOUND, Class, Scene, Told, Victim};

const STORED: &str = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored'";

/// A refresh at one class of provider, which has done its part when the database ends.
struct Case {
    class: Class,
    scene: Scene,
    victim: Victim,
    /// Refreshes at the provider before it.
    before: usize,
    stored: usize,
    call: JoinHandle<Result<Outcome, Error>>,
}

/// At every class of provider the provider is asked, then the database is killed as by a power failure, and only then the answers come.
/// Where they are to be kept they are in the spool when this returns.
async fn crash_while_they_answer() -> (PgDatabase, Vec<Case>) {
    let database = PgDatabase::durable();
    let scenes = Class::ALL.map(async |class| {
        let scene = Scene::set(class, database.another()).await;
        let victim = scene.victim(None).await;
        (class, scene, victim)
    });
    let (mut cases, mut releases) = (Vec::new(), Vec::new());
    for (class, scene, victim) in join_all(scenes).await {
        let release = Arc::new(Notify::new());
        scene.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        releases.push(release);
        let (before, stored) = (scene.refreshes(), scene.events("refresh.stored"));
        let (client, request) = (victim.client.clone(), scene.request());
        let call = tokio::spawn(async move { client.issue_grant(&request).await });
        cases.push(Case { class, scene, victim, before, stored, call });
    }
    join_all(cases.iter().map(|case| case.scene.refreshed(case.before + 1))).await;
    database.server().crash();
    releases.iter().for_each(|release| release.notify_one());
    for Case { class, scene, .. } in &cases {
        let kept = async {
            while *class != Class::Stays && scene.kept() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, kept).await.expect("it is in the spool");
    }
    (database, cases)
}

/// Away until the broker that has the new token is killed as well.
///
/// Proves: RF5, RF11, AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_a_database_that_is_killed_before_the_commit_costs_no_token() {
    let (database, cases) = crash_while_they_answer().await;
    let mut killed = Vec::new();
    for Case { class, scene, victim, before, call, .. } in cases {
        victim.process.kill().await;
        let answer = call.await.expect("no panic");
        assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: no row, no grant");
        killed.push((class, scene, before));
    }
    database.server().restart();
    join_all(killed.into_iter().map(async |(class, scene, before)| {
        let back = scene.victim(None).await;
        assert_eq!(scene.kept(), 0, "{class:?}: it is stored by the start");
        // A token that stays was in no spool: it is sent again after the lease.
        let told = if class == Class::Stays { scene.settled().await } else { scene.ask().await };
        assert_eq!(told, Told::Granted, "{class:?}");
        assert_eq!(scene.refreshes(), before + 2, "{class:?}");
        assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
        back.stops().await;
        scene.end().await;
    }))
    .await;
}

/// The database is away for a while only: the broker that lives stores it by itself.
///
/// Proves: RF5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_what_waits_in_the_spool_is_stored_as_soon_as_the_database_is_back() {
    let (database, cases) = crash_while_they_answer().await;
    database.server().restart();
    join_all(cases.into_iter().map(async |Case { class, scene, victim, before, stored, call }| {
        scene.until(STORED, &(stored + 1).to_string()).await;
        scene.emptied().await;
        call.await.expect("no panic").ok();
        assert_eq!(scene.ask().await, Told::Granted, "{class:?}");
        assert_eq!(scene.refreshes(), before + 2, "{class:?}");
        victim.stops().await;
        scene.end().await;
    }))
    .await;
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
