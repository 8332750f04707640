//! Redis forgets everything, or dies, while a lease is held: nothing was there that anybody relied on.

use broker_testkit::Redis;
use broker_tests::postgres::PgDatabase;
use demo::saas::Fault;
use std::sync::Arc;
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Setting, Told};

/// What happens to it between the provider's answer and its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Flushed,
    Killed,
}

/// Two brokers that speak through Redis want the same token; the one that refreshes has its answer held back meanwhile.
async fn lost_mid_lease(class: Class, loss: Loss) {
    println!("{class:?}: {loss:?}");
    let mut redis = Redis::start();
    let scene =
        Scene::of(Setting { more: redis.section(), ..Setting::of(class) }, PgDatabase::create()).await;
    let other = scene.victim(None).await;
    redis.tape().wait_for("PUBLISH");
    let (before, notes) = (scene.refreshes(), scene.site.notes());
    // What comes is good for both.
    notes.set_access_lifetime(600);
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let ask = |client: &broker_client::Client| {
        let (client, request) = (client.clone(), scene.request());
        tokio::spawn(async move { client.issue_grant(&request).await })
    };
    let first = ask(&other.client);
    let sent = notes.wait_until(|events| super::scene::refreshes(events) > before);
    tokio::time::timeout(BOUND, sent).await.expect("the provider is asked");
    assert_ne!(
        scene.database.sql("SELECT count(*) FROM connections WHERE lease_owner <> ''"),
        "0",
        "mid-lease"
    );
    match loss {
        Loss::Flushed => redis.flush(),
        Loss::Killed => redis.kill(),
    }
    // It waits for the other one, and sends nothing.
    let survivor = scene.asking();
    release.notify_one();
    for call in [first, survivor] {
        let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
        assert!(matches!(answer, Ok(broker_client::Outcome::Grant(_))), "{class:?} {loss:?}: {answer:?}");
    }
    assert_eq!(scene.refreshes(), before + 1, "{class:?} {loss:?}: one call");
    assert_eq!(scene.events("connection.reauth_required"), 0);
    assert_eq!(scene.ask().await, Told::Granted);
    other.stops().await;
    scene.end().await;
}

/// Proves: AV3, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_rf1_a_redis_that_is_flushed_or_dies_mid_lease_changes_nothing() {
    for class in [Class::Stays, Class::Grace, Class::SingleUse, Class::FamilyRevoking] {
        tokio::join!(lost_mid_lease(class, Loss::Flushed), lost_mid_lease(class, Loss::Killed));
    }
}
