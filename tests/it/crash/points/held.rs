//! A holder stands still past its lease and goes on: whatever it does then is refused, and the newest generation stays.

use std::time::Duration;

use broker_client::Outcome;
use broker_tests::postgres::PgDatabase;
use demo::saas::Event;

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
    held.stops().await;
    scene.end().await;
}

/// What a holder has of its lease counts from before it took it. One that stood still in between has too little left to see the end of a
/// call: it sends nothing, and says so.
///
/// Proves: RF2, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_rf7_a_holder_with_too_little_of_its_lease_left_sends_nothing_and_gives_it_back() {
    let scene = Scene::set(Class::Grace, PgDatabase::create()).await;
    let mut held = scene.victim(Some("refresh.before_lease:stop")).await;
    let before = scene.refreshes();
    let (client, request) = (held.client.clone(), scene.request());
    let call = tokio::spawn(async move { client.issue_grant(&request).await });
    held.process.said("crash point").await;
    // Of 20 s a call needs 12.
    let spent = scene.database.sql("SELECT broker_clock() + 9000000");
    scene.until(&format!("SELECT broker_clock() >= {spent}"), "t").await;
    held.process.resume().await;
    let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
    let error = answer.expect_err("nothing was fetched");
    assert_eq!(error.reason(), "PROVIDER_UNAVAILABLE", "{error}");
    assert_eq!(scene.refreshes(), before, "it sends nothing");
    let said =
        "SELECT count(*) FROM audit_events WHERE kind = 'refresh.failed' AND reason = 'DEADLINE_EXCEEDED'";
    assert_eq!(scene.database.sql(said), "1");
    scene.nothing_is_left();
    assert_eq!(scene.ask().await, Told::Granted, "the next one need not wait");
    held.stops().await;
    scene.end().await;
}

/// A proof that opens a token is void after this.
const PROOF: Duration = Duration::from_secs(5);

/// At every kind of provider; the lease ends by the database's clock, which is put ahead. One that stood still before the call opens
/// nothing any more; with what the provider gave it, it is one that came late.
///
/// Proves: RF2, RF5, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_rf7_a_holder_that_stood_still_ends_in_one_good_token_or_one_question_at_every_provider() {
    futures::future::join_all(Class::ALL.map(async |class| {
        overtaken(class, "refresh.after_intent:stop", Told::Granted, Told::Granted).await;
        let (first, then) = match class {
            Class::Stays | Class::Grace => (Told::Granted, Told::Granted),
            // A token that was merely refused is as good as before.
            Class::SingleUse => (Told::Reauth, Told::Granted),
            Class::FamilyRevoking => (Told::Reauth, Told::Reauth),
        };
        overtaken(class, "refresh.sealed:stop", first, then).await;
    }))
    .await;
}

async fn overtaken(class: Class, point: &str, first: Told, then: Told) {
    let scene = Scene::set(class, PgDatabase::create()).await;
    let mut held = scene.victim(Some(point)).await;
    let (client, request) = (held.client.clone(), scene.request());
    let call = tokio::spawn(async move { client.issue_grant(&request).await });
    held.process.said("crash point").await;
    let stopped = tokio::time::Instant::now();
    scene.to_lease_end(-5);
    assert_eq!(scene.settled().await, first, "{class:?}, {point}");
    // Its proof counts on the machine's clock: that is waited for.
    while stopped.elapsed() < PROOF + Duration::from_secs(1) {
        scene.ask().await;
    }
    let known = scene.site.notes().truth();
    held.process.resume().await;
    let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
    let served = matches!(answer, Ok(Outcome::Grant(_)));
    // Only what puts a connection in use again may serve.
    assert!(!served || first != then, "{class:?}, {point}: {answer:?}");
    // Its caller may still be there, and be served by a refresh of its own, with the newest token.
    let late = scene.site.notes().truth().split_off(known.len());
    assert!(
        late.iter().all(|event| !is_stale(event, &known)),
        "{class:?}, {point}: it sends nothing old: {late:?}"
    );
    assert_eq!(scene.ask().await, then, "{class:?}, {point}");
    assert_eq!(
        scene.events("connection.reauth_required"),
        usize::from(first == Told::Reauth),
        "{class:?}, {point}"
    );
    assert_eq!(scene.kept(), 0, "{class:?}, {point}");
    held.stops().await;
    scene.end().await;
}

/// Whether an older refresh token was used than the provider's last.
fn is_stale(event: &Event, known: &[Event]) -> bool {
    let newest = known.iter().filter_map(|event| match event {
        Event::Refreshed { issued, .. } => Some(*issued),
        _ => None,
    });
    match event {
        Event::Refreshed { generation, .. } => *generation < newest.max().unwrap_or(1),
        Event::RefreshRefused { .. } | Event::ReuseDetected { .. } => true,
        _ => false,
    }
}

fn generation(scene: &Scene) -> String {
    scene.database.sql("SELECT max(generation) FROM connection_secrets WHERE kind = 'refresh'")
}
