//! A refresh is on its way when its connection is revoked, or its holder is told to stop.

use std::sync::Arc;

use broker_client::Outcome;
use broker_tests::operator::Operator;
use broker_tests::postgres::PgDatabase;
use demo::saas::{Event, Fault, RevokedKind};
use tokio::sync::Notify;

use super::scene::{Class, Scene, Told, Victim};

/// The provider has done its part and keeps its answer back; what `happens` then, and what its caller is told in the end.
async fn during_a_refresh(
    scene: &Scene,
    victim: &Victim,
    happens: impl AsyncFnOnce(),
) -> Result<Outcome, broker_client::Error> {
    let (release, before) = (Arc::new(Notify::new()), scene.refreshes());
    scene.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let meanwhile = async {
        scene.refreshed(before + 1).await;
        happens().await;
        release.notify_one();
    };
    tokio::join!(scene.ask_by(&victim.client), meanwhile).0
}

/// Proves: RV1, RV2, RF5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rv2_what_comes_for_a_connection_that_was_revoked_meanwhile_serves_nobody_and_ends() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        let connection = scene.database.sql("SELECT id FROM connections");
        let operator = Operator::at(scene.site.grpc_url(), &scene.site);
        let revoke = async || drop(operator.revoke(&connection).await.expect("acknowledged"));
        let answer = during_a_refresh(&scene, &victim, revoke).await;
        assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: {answer:?}");
        victim.stops().await;
        // Its queue is worked off at a start, and all the time.
        let back = scene.victim(None).await;
        scene.until("SELECT count(*) FROM provider_revocations", "0").await;
        assert_eq!(
            scene.database.sql("SELECT count(*) FROM connection_secrets"),
            "0",
            "{class:?}: nothing is kept"
        );
        let ended = |event: &Event| matches!(event, Event::Revoked { family: 1, kind: RevokedKind::Family });
        assert!(scene.site.notes().truth().iter().any(ended), "{class:?}: it ended at the provider");
        assert_eq!(scene.kept(), 0, "{class:?}");
        back.stops().await;
        scene.end().await;
    }))
    .await;
}

/// Proves: AV5, RF3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av5_a_broker_that_is_told_to_stop_finishes_its_refresh() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let mut victim = scene.victim(None).await;
        let (client, before) = (victim.client.clone(), scene.refreshes());
        let release = Arc::new(Notify::new());
        scene.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let stop = async {
            scene.refreshed(before + 1).await;
            victim.process.terminate().await;
            victim.process.said("stopping").await;
            release.notify_one();
        };
        let (answer, ()) = tokio::join!(scene.ask_by(&client), stop);
        assert!(matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: its caller is answered: {answer:?}");
        assert!(victim.process.ended().await.0.success());
        scene.nothing_is_left();
        assert_eq!((scene.kept(), scene.ask().await), (0, Told::Granted), "{class:?}");
        assert_eq!(scene.refreshes(), before + 2, "{class:?}: each token is used once");
        scene.end().await;
    }))
    .await;
}
