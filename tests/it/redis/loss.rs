//! Redis goes and comes back, and nobody but those who wait notices.

use std::time::Duration;

use broker_testkit::Redis;
use broker_tests::redis::works;
use broker_tests::stage::READ;
use demo::world::{ALICE, BOB, Options, Workload::TicketHelper};
use tokio::time::Instant;

use super::limits::{BURST, admitted};

fn health(replicas: &broker_tests::replicas::Replicas) -> String {
    let text = replicas.at(0).rooms().metrics.render();
    let line = text.lines().find(|line| line.contains("broker_health{part=\"redis\"}"));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// Proves: AV3, AV7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_av7_without_redis_everything_goes_on_and_it_comes_back_without_a_human() {
    let mut redis = Redis::start();
    let replicas = super::replicas(&redis, 2, Options::default()).await;
    assert!(health(&replicas).ends_with(" 1"));
    let relays: Vec<_> = replicas.all().iter().map(|replica| replica.rooms().relay.clone()).collect();
    replicas.connect(0, &ALICE, TicketHelper, READ).await;

    redis.kill();
    for relay in &relays {
        works(relay, false).await;
    }
    assert!(health(&replicas).ends_with(" 0"));
    replicas.grant(1, &ALICE, TicketHelper, READ).await;
    replicas.connect(1, &BOB, TicketHelper, READ).await;
    replicas.advance(Duration::from_secs(700));
    let (one, other) = tokio::join!(
        replicas.grant(0, &ALICE, TicketHelper, READ),
        replicas.grant(1, &ALICE, TicketHelper, READ)
    );
    assert_eq!(one.access_token.expose(), other.access_token.expose(), "refreshed once");

    redis.raise();
    for relay in &relays {
        works(relay, true).await;
    }
    assert!(health(&replicas).ends_with(" 1"));
    replicas.grant(0, &BOB, TicketHelper, READ).await;
    replicas.stop().await;
}

/// It takes connections and answers nothing, as when a machine is gone: one call waits a moment for it, and none after that.
///
/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_a_redis_that_hangs_costs_a_moment_and_none_afterwards() {
    let redis = Redis::start();
    let replicas = super::replicas(&redis, 2, Options::default()).await;
    redis.pause();
    let began = Instant::now();
    assert_eq!(admitted(&replicas, 0, BURST).await, BURST);
    assert_eq!(admitted(&replicas, 1, BURST).await, BURST, "each counts by itself");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for replica in replicas.all() {
        assert!(!replica.rooms().relay.works(), "a call without an answer tells it");
    }
    redis.resume();
    for replica in replicas.all() {
        works(&replica.rooms().relay, true).await;
    }
    replicas.stop().await;
}

/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_a_grant_with_a_token_at_hand_never_comes_near_redis() {
    let redis = Redis::start();
    let replicas = super::replicas(&redis, 2, Options::default()).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    let tape = redis.tape();
    tape.wait_for("PUBLISH");
    let began = Instant::now();
    let calls = (0..60).map(|_| replicas.grant(0, &ALICE, TicketHelper, READ));
    assert_eq!(futures::future::join_all(calls).await.len(), 60);
    let told = String::from_utf8_lossy(&tape.bytes()).into_owned();
    // Two replicas, a heartbeat a second each; what was under way when the tape began.
    let beats = 2 * (usize::try_from(began.elapsed().as_secs()).expect("a few") + 3);
    assert!(told.matches("PUBLISH").count() <= beats, "{told}");
    assert!(!told.contains("EVAL"), "{told}");
    replicas.stop().await;
}
