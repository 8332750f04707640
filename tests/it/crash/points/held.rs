//! A holder stands still past its lease and goes on: whatever it does then is refused, and the newest generation stays.

use broker_client::Outcome;
use broker_tests::postgres::PgDatabase;

use super::scene::{BOUND, Class, Scene, Told};

/// Before the call it does not send the token any more; with what the provider gave it, it finds a newer one.
///
/// Proves: RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_a_holder_that_stood_still_past_its_lease_sends_and_stores_nothing() {
    tokio::join!(stood_still("refresh.after_intent:stop", 0), stood_still("refresh.sealed:stop", 1));
}

async fn stood_still(point: &str, calls: usize) {
    let scene = Scene::set(Class::Grace, PgDatabase::create()).await;
    let mut held = scene.victim(Some(point)).await;
    let before = scene.refreshes();
    let (client, request) = (held.client.clone(), scene.request());
    let call = tokio::spawn(async move { client.issue_grant(&request).await });
    held.process.said("crash point").await;
    assert_eq!(scene.refreshes(), before + calls, "{point}");
    // Its lease ends by the clock of the database, and its own share of it by the machine's: both are waited for.
    let taken_over = async {
        while !matches!(scene.ask().await, Told::Granted) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, taken_over).await.expect("another one takes over");
    let (newest, after) = (generation(&scene), scene.refreshes());
    held.process.resume().await;
    let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
    assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{point}: nothing comes of it: {answer:?}");
    assert_eq!(scene.refreshes(), after, "{point}: it sends nothing");
    assert_eq!(generation(&scene), newest, "{point}: and stores nothing");
    assert_eq!(scene.ask().await, Told::Granted);
    held.process.terminate().await;
    assert!(held.process.ended().await.0.success());
    scene.end().await;
}

fn generation(scene: &Scene) -> String {
    scene.database.sql("SELECT max(generation) FROM connection_secrets WHERE kind = 'refresh'")
}
