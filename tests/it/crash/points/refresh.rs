//! A replica dies in the middle of a refresh. The other one never calls the provider meanwhile; what comes of it afterwards depends on
//! how far it came, on the provider's class, and on whether the dead one's volume comes back.

use std::time::Duration;

use broker_tests::postgres::PgDatabase;
use demo::saas::{Endpoint, Fault};

use super::scene::{Class, Scene, Told, Victim};

/// What the survivor makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on at once: nobody is at it.
    AtOnce,
    /// It waits for the lease to end, and serves.
    AfterLease,
    /// It waits for the lease, the call and the time to drain a spool, sends the token once more, and serves: it had not been used.
    AfterGrace,
    /// The same, but it had been used, and what came for it is gone: alice is asked, once.
    AskedOnce,
}
use Outcome::{AfterGrace, AfterLease, AskedOnce, AtOnce};

/// What happens at each point to a provider's token that stays, has a grace, is single use, or takes its family with it.
pub const POINTS: [(&str, [Outcome; 4]); 8] = [
    ("refresh.before_lease", [AtOnce, AtOnce, AtOnce, AtOnce]),
    ("refresh.after_intent", [AfterLease, AfterLease, AfterGrace, AfterGrace]),
    ("refresh.response_read", [AfterLease, AfterLease, AskedOnce, AskedOnce]),
    ("refresh.sealed", [AfterLease, AfterLease, AskedOnce, AskedOnce]),
    // Its volume is lost. Where it comes back see below.
    ("refresh.spooled", [AfterLease, AfterLease, AskedOnce, AskedOnce]),
    ("ledger.settlement_committed", [AtOnce, AtOnce, AtOnce, AtOnce]),
    ("refresh.committed", [AtOnce, AtOnce, AtOnce, AtOnce]),
    ("refresh.discharged", [AtOnce, AtOnce, AtOnce, AtOnce]),
];

/// The call to the provider, and the time that a spool's owner has.
const CALL_AND_GRACE: Duration = Duration::from_secs(12 + 1);

async fn every_point(class: Class) {
    let scene = Scene::set(class, PgDatabase::create()).await;
    for (point, outcomes) in POINTS {
        // A token that stays is never in a spool.
        if class == Class::Stays && point == "refresh.spooled" {
            continue;
        }
        println!("{class:?}: {point}");
        scene.reconnect().await;
        let latched = scene.events("connection.reauth_required");
        scene.victim(Some(point)).await.dies(&scene).await;
        let outcome = outcomes[class as usize];
        survive(&scene, class, outcome).await;
        let asked = usize::from(outcome == AskedOnce);
        assert_eq!(scene.events("connection.reauth_required") - latched, asked, "{point}");
        lost(&scene);
    }
    scene.end().await;
}

async fn survive(scene: &Scene, class: Class, outcome: Outcome) {
    let before = scene.refreshes();
    if outcome == AtOnce {
        assert_eq!(scene.ask().await, Told::Granted);
        assert_eq!(scene.refreshes(), before + 1);
        return;
    }
    // Past the time in which the holder might still answer, so that nobody waits for it; with time left on a slow machine.
    let left = if class == Class::Grace { 7 } else { 30 };
    scene.to_lease_end(-left);
    let Told::Later(Some(rest)) = scene.ask().await else { panic!("it is left alone") };
    assert!(rest <= Duration::from_secs(left.unsigned_abs() + 1), "{rest:?}");
    scene.to_lease_end(1);
    if matches!(outcome, AfterGrace | AskedOnce) {
        let Told::Later(Some(rest)) = scene.ask().await else { panic!("its spool may come back") };
        assert!(rest <= CALL_AND_GRACE, "{rest:?}");
        assert_eq!(scene.refreshes(), before, "nothing is sent in all that time");
        scene.to_lease_end(14);
    }
    let told = scene.ask().await;
    assert_eq!(told, if outcome == AskedOnce { Told::Reauth } else { Told::Granted });
    assert_eq!(scene.refreshes(), before + 1, "it is sent once more, and once only");
    if outcome == AskedOnce {
        assert_eq!(scene.ask().await, Told::Reauth);
        assert_eq!(scene.refreshes(), before + 1, "a dead one is not tried again");
    }
}

/// The dead one's volume is lost.
fn lost(scene: &Scene) {
    let volume = scene.site.path("spool-of-the-victim");
    std::fs::remove_dir_all(volume).expect("the victim made it");
}

/// Proves: RF1, RF2, RF3, RF7
#[tokio::test]
async fn rf7_a_holder_that_dies_with_a_token_that_stays_costs_its_lease() {
    every_point(Class::Stays).await;
}

/// Proves: RF1, RF2, RF3, RF7
#[tokio::test]
async fn rf7_a_holder_that_dies_within_a_grace_costs_a_lease_that_is_shorter_than_it() {
    every_point(Class::Grace).await;
}

/// Proves: RF1, RF2, RF3, RF7
#[tokio::test]
async fn rf7_a_holder_that_dies_with_a_single_use_token_is_waited_for_and_it_is_sent_once_more() {
    every_point(Class::SingleUse).await;
}

/// Proves: RF1, RF2, RF3, RF7
#[tokio::test]
async fn rf7_a_holder_that_dies_with_a_family_revoking_token_is_waited_for_and_it_is_sent_once_more() {
    every_point(Class::FamilyRevoking).await;
}

/// It died with what it had got in its spool, and comes back with its volume: nobody waits, nobody is asked, nothing is sent again.
///
/// Proves: RF5
#[tokio::test]
async fn rf5_a_replica_that_comes_back_with_its_volume_loses_nothing() {
    for class in [Class::Grace, Class::SingleUse, Class::FamilyRevoking] {
        println!("{class:?}");
        let scene = Scene::set(class, PgDatabase::create()).await;
        scene.victim(Some("refresh.spooled")).await.dies(&scene).await;
        let (sent, stored) = (scene.refreshes(), scene.events("refresh.stored"));
        let back = scene.victim(None).await;
        scene.nothing_is_left();
        assert_eq!((scene.refreshes(), scene.events("refresh.stored")), (sent, stored + 1), "by its start");
        assert_eq!(scene.ask().await, Told::Granted, "with the token that was kept");
        assert_eq!(scene.refreshes(), sent + 1);
        assert_eq!(scene.events("connection.reauth_required"), 0);
        back.stops().await;
        scene.end().await;
    }
}

/// It comes back only after another one has taken over. A token that was merely refused is as good as before, and the connection is in
/// use again; where sending the old one twice has ended everything, alice is asked; where the old one still worked the newer one stays.
///
/// Proves: RF2, RF5, RF7
#[tokio::test]
async fn rf7_what_is_kept_by_one_and_taken_over_by_another_ends_in_one_good_token_or_one_question() {
    for (class, first, then) in [
        (Class::Grace, Told::Granted, Told::Granted),
        (Class::SingleUse, Told::Reauth, Told::Granted),
        (Class::FamilyRevoking, Told::Reauth, Told::Reauth),
    ] {
        println!("{class:?}");
        let scene = Scene::set(class, PgDatabase::create()).await;
        scene.victim(Some("refresh.spooled")).await.dies(&scene).await;
        scene.to_lease_end(-5);
        assert_eq!(scene.settled().await, first);
        let back = scene.victim(None).await;
        assert_eq!(scene.ask().await, then);
        let kept = std::fs::read_dir(scene.site.path("spool-of-the-victim")).expect("its volume");
        let entries = kept.flatten().flat_map(|own| std::fs::read_dir(own.path()).expect("a directory"));
        let left = entries.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "entry"));
        assert_eq!(left.count(), 0, "nothing stays in the spool");
        scene.reconnect().await;
        back.stops().await;
        scene.end().await;
    }
}

/// Killed while the request is on its way: it was not processed, or it was and the answer never came. Nobody here can tell. A token that
/// stays or has a grace is sent as soon as the lease is over: no spool is waited for.
///
/// Proves: RF3, RF7
#[tokio::test]
async fn rf7_a_holder_that_is_killed_during_the_call_is_replayed_once() {
    for class in Class::ALL {
        let scene = Scene::set(class, PgDatabase::create()).await;
        for rotated in [false, true] {
            println!("{class:?}, rotated: {rotated}");
            scene.reconnect().await;
            let notes = scene.site.notes();
            let release = std::sync::Arc::new(tokio::sync::Notify::new());
            let hold = std::sync::Arc::clone(&release);
            let fault = if rotated { Fault::SlowAnswer(hold) } else { Fault::LostRequest };
            notes.script_at(Endpoint::Token, fault, 1);
            // A request that is lost is told to its sender: to kill it before that the intent must be the last thing it did.
            let dying = scene.victim((!rotated).then_some("refresh.response_read")).await;
            let before = scene.refreshes();
            if rotated {
                let Victim { process, client } = dying;
                let killed = async {
                    scene.refreshed(before + 1).await;
                    process.kill().await;
                };
                let (answer, ()) = tokio::join!(scene.ask_by(&client), killed);
                assert!(answer.is_err());
                release.notify_one();
            } else {
                dying.dies(&scene).await;
            }
            if class.is_single_use() {
                scene.to_lease_end(-5);
                assert_eq!(scene.settled().await, if rotated { Told::Reauth } else { Told::Granted });
            } else {
                scene.to_lease_end(-7);
                let Told::Later(Some(rest)) = scene.ask().await else { panic!("it is left alone") };
                assert!(rest <= Duration::from_secs(8), "{rest:?}: no longer than the lease");
                scene.to_lease_end(1);
                assert_eq!(scene.ask().await, Told::Granted, "as soon as that is over");
            }
            assert_eq!(scene.refreshes(), before + 1 + usize::from(rotated), "once more, and once only");
        }
        scene.reconnect().await;
        scene.end().await;
    }
}

/// Two holders die one after the other with the same single-use token: nobody sends it a third time, and alice is asked.
///
/// Proves: RF7
#[tokio::test]
async fn rf7_a_single_use_token_that_two_holders_died_with_is_sent_no_third_time() {
    let scene = Scene::set(Class::SingleUse, PgDatabase::create()).await;
    let before = scene.refreshes();
    for _ in 0..2 {
        scene.victim(Some("refresh.after_intent")).await.dies(&scene).await;
        scene.to_lease_end(14);
    }
    assert_eq!(scene.ask().await, Told::Reauth);
    assert_eq!(scene.refreshes(), before, "nothing is sent");
    assert_eq!(scene.events("connection.reauth_required"), 1);
    scene.reconnect().await;
    assert_eq!(scene.ask().await, Told::Granted);
    scene.end().await;
}
