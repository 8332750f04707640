//! How long others wait while a provider hangs or a workload floods, against how long they wait alone, measured in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use broker_tests::stage::{READ, Stage, granted};
use demo::saas::Fault;
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Grants measured at a time.
const SAMPLES: usize = 100;
/// The same amid a flood, where each takes its time.
const FEW: usize = 20;
/// A busy machine spoils one of them, hardly all.
const ROUNDS: usize = 3;

/// What callers beyond a share are told.
const SHED: [&str; 2] = ["RATE_LIMITED", "OVERLOADED"];

/// The 99th percentile of one caller's grants, one after the other.
async fn p99(stage: &Stage, samples: usize) -> Duration {
    let (client, request) = (stage.client(ReportWriter), stage.request(&BOB, ReportWriter, READ));
    let mut took = Vec::with_capacity(samples);
    for _ in 0..samples {
        let began = Instant::now();
        granted(client.issue_grant(&request).await);
        took.push(began.elapsed());
    }
    took.sort();
    took[(samples * 99 / 100).min(samples - 1)]
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

/// Proves: AV4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av4_a_hanging_provider_doubles_nobody_elses_p99() {
    let options =
        Options { extra_config: "limits: { max_concurrent_requests: 64 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.world.notes().set_access_lifetime(3600);
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, ReportWriter, READ).await;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        stage.clock.advance(Duration::from_secs(3600));
        // bob's is fresh again; alice's calls wait for theirs, as many as may.
        stage.grant(&BOB, ReportWriter, READ).await;
        let alone = p99(&stage, SAMPLES).await;
        let release = Arc::new(Notify::new());
        stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
        let mut hung = JoinSet::new();
        // More than are served at once: what has no seat at the provider must not stay either.
        for _ in 0..80 {
            let (client, request) =
                (stage.client(TicketHelper).clone(), stage.request(&ALICE, TicketHelper, READ));
            hung.spawn(async move { client.issue_grant(&request).await });
        }
        let mut database = stage.database().await;
        while database.text("SELECT count(*) FROM connections WHERE lease_owner <> ''").await == "0" {
            tokio::task::yield_now().await;
        }
        ratios.push(ratio(p99(&stage, SAMPLES).await, alone));
        release.notify_one();
        let mut served = 0;
        while let Some(answer) = hung.join_next().await {
            match answer.expect("no panic") {
                Ok(_) => served += 1,
                Err(error) => assert!(SHED.contains(&error.reason()), "{error:?}"),
            }
        }
        assert!(served > 0, "whoever had a seat is served");
    }
    println!("p99 beside a provider that hangs, to p99 alone: {ratios:.2?}");
    assert!(ratios.iter().any(|ratio| *ratio <= 2.0), "{ratios:?}");
    stage.stop().await;
}

/// A closed loop of many callers takes what processor there is: others wait longer, which is told here, and none of them is refused.
///
/// Proves: AV4, AV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av4_a_flood_of_one_workload_refuses_no_call_of_another() {
    let options =
        Options { extra_config: "limits: { max_concurrent_requests: 128 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, ReportWriter, READ).await;
    let alone = p99(&stage, FEW).await;
    let (over, shed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut flood = JoinSet::new();
    for _ in 0..96 {
        let (client, request) =
            (stage.client(TicketHelper).clone(), stage.request(&ALICE, TicketHelper, READ));
        let (over, shed) = (Arc::clone(&over), Arc::clone(&shed));
        flood.spawn(async move {
            let mut granted = 0;
            while !over.load(Ordering::Relaxed) {
                match client.issue_grant(&request).await {
                    Ok(_) => granted += 1,
                    Err(error) => {
                        assert!(SHED.contains(&error.reason()), "{error:?}");
                        shed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            granted
        });
    }
    while shed.load(Ordering::Relaxed) < 64 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let beside = p99(&stage, FEW).await;
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let mut served = 0;
    while let Some(granted) = flood.join_next().await {
        served += granted.expect("no panic");
    }
    assert!(served > 0, "the flood is served within its share");
    println!(
        "p99 beside a flood {beside:?}, alone {alone:?}: {:.1} times; in {took:?} the flood got {served} grants and {} refusals",
        ratio(beside, alone),
        shed.load(Ordering::Relaxed)
    );
    stage.stop().await;
}
