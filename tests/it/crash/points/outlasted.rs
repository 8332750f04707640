//! A refresh token whose grace is over by the time that somebody takes over: it is as one that is good once. At a provider that takes an old
//! one for a theft, sending it too early would end everything.

use std::sync::Arc;
use std::time::Duration;

use broker_tests::clock::ShiftedClock;
use broker_tests::postgres::PgDatabase;
use demo::saas::Rotation;

use super::scene::{Class, Scene, Setting, Told, accepted};

/// As it is configured, and as the provider truly has it.
const GRACE: Duration = Duration::from_secs(30);
/// The lease that is taken within it.
const LEASE: Duration = Duration::from_secs(20);
/// The call to the provider, and the time that a spool's owner has.
const CALL_AND_DRAIN: Duration = Duration::from_secs(12 + 5);

/// Its holder died with the successor in its spool, and nobody called until the grace was over.
async fn outlasted() -> (Scene, usize) {
    let clock = Arc::new(ShiftedClock::default());
    let setting = Setting { clock: clock.clone(), drain_grace: "5s", ..Setting::of(Class::Grace) };
    let scene = Scene::of(setting, PgDatabase::create()).await;
    let seconds = i64::try_from(GRACE.as_secs()).expect("small");
    scene.site.notes().set_rotation(Rotation::WithGrace { seconds });
    scene.victim(Some("refresh.spooled")).await.dies(&scene).await;
    let sent = scene.refreshes();
    // The provider's clock, and the database's, on which the broker counts from when the lease was taken.
    clock.advance(GRACE);
    scene.to_lease_end(i64::try_from((GRACE - LEASE).as_secs()).expect("small"));
    let Told::Later(Some(rest)) = scene.ask().await else { panic!("its successor may come back") };
    assert!(rest <= CALL_AND_DRAIN - (GRACE - LEASE), "{rest:?}");
    assert_eq!(scene.refreshes(), sent, "it is not sent");
    (scene, sent)
}

/// Proves: RF5, RF7
#[tokio::test]
async fn rf7_a_token_whose_grace_is_over_waits_for_the_volume_that_holds_its_successor() {
    let (scene, sent) = outlasted().await;
    let back = scene.victim(None).await;
    assert_eq!(scene.kept(), 0, "it is stored by the start");
    assert_eq!(scene.ask().await, Told::Granted, "with the token that was kept");
    assert_eq!(accepted(&scene.site.notes().truth()), (sent + 1, sent + 1), "nothing old was sent");
    assert_eq!(scene.events("connection.reauth_required"), 0);
    back.stops().await;
    scene.end().await;
}

/// Without the volume it is sent once more in the end, and its provider refuses it: its owner is asked, once.
///
/// Proves: RF7
#[tokio::test]
async fn rf7_a_token_whose_grace_is_over_and_whose_successor_is_lost_is_asked_for_once() {
    let (scene, sent) = outlasted().await;
    std::fs::remove_dir_all(scene.site.path("spool-of-the-victim")).expect("the victim made it");
    assert_eq!(scene.settled().await, Told::Reauth);
    assert_eq!(accepted(&scene.site.notes().truth()), (sent, sent + 1), "sent once more, and refused");
    assert_eq!(scene.ask().await, Told::Reauth);
    assert_eq!(scene.refreshes(), sent + 1, "and not again");
    assert_eq!(scene.events("connection.reauth_required"), 1);
    scene.reconnect().await;
    scene.end().await;
}
