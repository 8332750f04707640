//! Three replicas on PostgreSQL that are killed, paused and stopped, whose database and Redis crash and whose provider misbehaves: what
//! happened is written down and held against every rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use broker_testkit::Redis;
use broker_tests::cluster::Cluster;
use broker_tests::dice::Dice;
use broker_tests::history::{self, Act, Deed, End, History, Rule};
use broker_tests::process;
use demo::world::Options;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::faults::trouble;
use super::load::Load;
use super::record::record;

const REPLICAS: usize = 3;
const CLIENTS: usize = 6;
const PEOPLE: usize = 12;
/// How long things go wrong, unless `SOAK_MINUTES` says otherwise.
const SHORT: Duration = Duration::from_secs(20);
/// Without these the rules have nothing to look at.
const NEEDED: [&str; 5] =
    ["grants", "refresh calls", "replies lost", "grants received again", "asked with a used assertion"];
/// For what must happen in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller is told whose assertion was good once: it was used, or something else is asked with another one.
const GOOD_ONCE: [&str; 2] = ["ASSERTION_REPLAYED", "REQUEST_ID_REUSED"];

/// Refusals that faults, revocations and blocks explain. Anything else is a fault of the broker's.
const EXPLAINED: &[&str] = &[
    // The provider's answer was bad or lost, or a refresh that died holds its lease for a while.
    "PROVIDER_UNAVAILABLE",
    "PROVIDER_RATE_LIMITED",
    "REQUEST_ID_STALE",
    "REVOKED",
    "BLOCKED",
    "DEADLINE_EXCEEDED",
    "AUDIT_UNAVAILABLE",
    "STORE_UNAVAILABLE",
    "OVERLOADED",
];

/// Proves: AU1, AU8, AU17, AV3, RF1, RF11, RV2, GR5, CO1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn au17_rf1_a_run_of_three_replicas_that_fail_in_every_way_keeps_to_every_rule() {
    run(false).await;
}

/// The same where the people's issuer wants each assertion to be used once.
///
/// Proves: ID12, AU1, AU17, RF1, GR5
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn id12_such_a_run_with_assertions_that_are_good_once_keeps_to_every_rule() {
    run(true).await;
}

/// The same seed gives the same choices, though not the same interleaving: `TEST_SEED`. `tests/run soak --minutes N` runs it longer.
async fn run(one_time: bool) {
    let needed: Vec<_> = NEEDED.into_iter().chain(one_time.then_some("assertions refused as used")).collect();
    let mut redis = Redis::start();
    let extra_config = "consent: { max_open_per_subject: 100 }".to_owned() + &redis.section();
    let options = Options {
        extra_config,
        amend_config: Some(Box::new(move |text| good_once(text, one_time))),
        ..Options::default()
    };
    let mut cluster = Cluster::start(REPLICAS, options).await;
    let seed = Dice::seed(&**cluster.site.rng());
    println!("TEST_SEED={seed}");
    let load = Arc::new(Load::new(Arc::clone(&cluster.site), PEOPLE, seed));
    load.live.send_replace(cluster.channels());

    let mut work = JoinSet::new();
    (0..CLIENTS).for_each(|_| drop(work.spawn(Arc::clone(&load).ask_on())));
    // One after the other: a person has one browser and does one thing at a time.
    for first in (0..PEOPLE).step_by(4) {
        work.spawn(Arc::clone(&load).people_on(first..first + 4));
    }
    work.spawn(Arc::clone(&load).block_on());
    let connected = load.until(|now| now.granted > 20);
    tokio::time::timeout(PATIENCE, connected).await.expect("people connect");
    let tally = trouble(&mut cluster, &mut redis, &load, Instant::now() + length(), &needed).await;

    let before = load.progress.borrow().granted;
    let served = tokio::time::timeout(PATIENCE, load.until(|now| now.granted > before + 20));
    served.await.expect("everybody is served again without a human");
    load.over.send_replace(true);
    while let Some(ended) = work.join_next().await {
        ended.expect("no client panicked");
    }
    for number in 0..REPLICAS {
        cluster.stop(number).await;
    }
    verified(&cluster).await;
    let recorded = record(&load, &cluster.clock, cluster.database.connect().await).await;
    let history = History { faults: cluster.faults.clone(), one_time, ..recorded };
    let answers = answers(&load);
    println!("{tally:?}\n{answers:?}");
    println!(
        "{} calls, {} acts, {} rows, {} events at the provider, {} connections, {} probes",
        history.calls.len(),
        history.acts.len(),
        history.log.len(),
        history.provider.len(),
        history.connections.len(),
        history.probes.len()
    );
    let exercised = history::exercised(&history);
    println!("{exercised:?}");
    let broken = history::check(&history);
    broken.iter().for_each(|broken| println!("{}", history.story(broken)));
    assert!(broken.is_empty(), "TEST_SEED={seed}: {broken:#?}");
    doctored(&history);
    let odd: Vec<_> = answers.keys().filter(|reason| !is_explained(reason, one_time)).collect();
    assert!(odd.is_empty(), "nothing explains {odd:?}");
    enough(&answers);
    for what in needed {
        assert!(exercised[what] > 0, "nothing came of {what}: {exercised:?}");
    }
    for fault in ["killed", "database crashed", "Redis killed"] {
        assert!(tally.contains_key(fault), "no {fault} in {tally:?}");
    }
}

/// The site's configuration, whose issuer may want each assertion to be used once.
fn good_once(text: String, one_time: bool) -> String {
    let before = "    roles_claim: roles\n";
    assert!(text.contains(before), "{text}");
    text.replace(before, &format!("{before}    one_time_assertions: {one_time}\n"))
}

/// The same run with one thing in it that did not happen is rejected.
fn doctored(history: &History) {
    let received = history.calls.iter().find_map(|call| match &call.end {
        End::Granted(grants) => Some((call, &grants[0])),
        _ => None,
    });
    let (call, grant) = received.expect("something was granted");
    let mut without = history.clone();
    without.log.retain(|row| row.text("/id") != grant.id);
    let mut ended = history.clone();
    let deed = Deed::Revoke(grant.connection.clone());
    ended.acts.push(Act { deed, sent: call.sent - 2, acknowledged: Some(call.sent - 1) });
    for (rule, doctored) in [(Rule::RowOfAGrant, without), (Rule::Ended, ended)] {
        assert!(history::check(&doctored).iter().any(|broken| broken.rule == rule), "{rule:?} finds nothing");
    }
}

fn length() -> Duration {
    match std::env::var("SOAK_MINUTES") {
        Ok(minutes) => Duration::from_secs(60 * minutes.parse::<u64>().expect("SOAK_MINUTES is a number")),
        Err(_) => SHORT,
    }
}

/// The real command, over everything that was written.
async fn verified(cluster: &Cluster) {
    let ran = process::run(cluster.site.directory(), &["audit", "verify", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(said["verified"], true);
    println!("{said}");
}

fn answers(load: &Load) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for call in load.calls.lock().expect("no holder panicked").iter() {
        let end = match &call.end {
            End::Granted(_) => "granted",
            End::Consent => "consent",
            End::Refused(reason) => reason,
            End::Lost => "lost",
        };
        *answers.entry(end.to_owned()).or_default() += 1;
    }
    answers
}

fn is_explained(reason: &str, one_time: bool) -> bool {
    let used = one_time && GOOD_ONCE.contains(&reason);
    ["granted", "consent", "lost"].contains(&reason) || EXPLAINED.contains(&reason) || used
}

/// A run in which nothing happened proves nothing.
fn enough(answers: &BTreeMap<String, usize>) {
    let count = |what: &str| answers.get(what).copied().unwrap_or(0);
    assert!(count("granted") > 50 && count("lost") > 0, "too little was asked: {answers:?}");
}
