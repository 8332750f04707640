//! What goes wrong in a run, and when: chosen by seed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker_testkit::Redis;
use broker_tests::cluster::Cluster;
use broker_tests::history::{History, Jump, Outage, exercised};
use demo::saas::{Event, Fault};
use tokio::time::{Instant, timeout};

use super::load::Load;
use super::record::happened;

/// A moment that does not come is not waited for longer than this.
const MOMENT: Duration = Duration::from_secs(3);

/// A writer that was silent for 30 s is taken for dead.
const JUMP: Duration = Duration::from_secs(40);
/// Request ids and used assertions are kept for 10 minutes from the broker's clock, until they are over on the database's: one that is
/// further ahead forgets them at once.
const MOST_JUMPS: usize = 10;

/// What every run has, as it is drawn: a kill, a crash of the database, the end of Redis.
const FIRST: [usize; 3] = [0, 8, 11];
/// How much longer trouble goes on for what a run must have.
const OVERTIME: Duration = Duration::from_secs(300);
/// So many faults on the slowest machine.
const LEAST: usize = FIRST.len() + 1;
/// More grants than so many.
const LEAST_GRANTS: usize = 50;

/// How often what happened.
pub type Tally = BTreeMap<&'static str, usize>;

/// Until `over`, and until enough happened to prove something: a moment, a fault, and everybody up again.
///
/// # Panics
/// When what a run must have does not happen.
pub async fn trouble(
    cluster: &mut Cluster,
    redis: &mut Redis,
    load: &Load,
    over: Instant,
    needed: &[&'static str],
) -> Tally {
    let mut tally = Tally::new();
    loop {
        if Instant::now() >= over {
            let missing = missing(load, &tally, needed);
            if missing.is_empty() {
                return tally;
            }
            assert!(Instant::now() < over + OVERTIME, "still nothing of {missing:?} after {tally:?}");
        }
        at_provider(load);
        timeout(MOMENT, moment(load)).await.ok();
        let number = load.dice.below(cluster.size());
        let drawn = load.dice.below(14);
        let what = match FIRST.get(tally.values().sum::<usize>()).copied().unwrap_or(drawn) {
            0..=4 => killed(cluster, load, number).await,
            5 | 6 => paused(cluster, load, number).await,
            7 => stopped(cluster, load, number).await,
            8 => database(cluster, load).await,
            9 if cluster.faults.jumps.len() < MOST_JUMPS => jumped(cluster),
            9 | 10 => flushed(redis),
            11 | 12 => without(redis, load).await,
            _ => all_killed(cluster, load).await,
        };
        *tally.entry(what).or_default() += 1;
        load.live.send_replace(cluster.channels());
    }
}

/// What did not happen yet, of what a run must have: as the clients and the provider see it, who see no more than the log has.
fn missing(load: &Load, tally: &Tally, needed: &[&'static str]) -> Vec<&'static str> {
    let calls = load.calls.lock().expect("no holder panicked").clone();
    let seen = exercised(&History { calls, provider: happened(&load.site), ..History::default() });
    let nothing_of = needed.iter().copied().filter(|what| seen[what] == 0);
    let few_faults = (tally.values().sum::<usize>() < LEAST).then_some("faults");
    let few_grants = (seen["grants"] <= LEAST_GRANTS).then_some("many grants");
    let no_loss = (!load.has_lost()).then_some("answers lost");
    nothing_of.chain(few_faults).chain(few_grants).chain(no_loss).collect()
}

/// One of many moments: calls that were answered, or a provider that did its half of the work.
async fn moment(load: &Load) {
    let more = load.dice.below(40) as u64 + 10;
    let answered = load.progress.borrow().answered;
    load.until(|now| now.answered >= answered + more).await;
    let seen = load.site.notes().truth().len();
    let wanted: fn(&Event) -> bool = match load.dice.below(4) {
        0 => return,
        1 => |event| matches!(event, Event::TokensIssued { .. }),
        _ => |event| matches!(event, Event::Refreshed { .. }),
    };
    load.site.notes().wait_until(move |events| events.iter().skip(seen).any(wanted)).await;
}

fn reply_was_lost(load: &Load) -> bool {
    load.site.notes().truth().iter().any(|event| matches!(event, Event::ReplyLost { .. }))
}

/// Tokens of another life from now on, and now and then an answer that is bad, late or lost.
fn at_provider(load: &Load) {
    let notes = load.site.notes();
    notes.set_access_lifetime(*load.dice.pick(&[6, 9, 12, 30]));
    let (fault, calls) = match load.dice.below(6) {
        // One at least is lost to whoever refreshes.
        _ if !reply_was_lost(load) => (Fault::DropConnection, 1),
        0 => (Fault::DropConnection, 1),
        1 => (Fault::Status500, 2),
        2 => (Fault::Status429 { retry_after: 1 }, 1),
        _ => return,
    };
    load.scripted.fetch_add(calls, Ordering::Relaxed);
    notes.script(fault, calls);
}

async fn killed(cluster: &mut Cluster, load: &Load, number: usize) -> &'static str {
    cluster.kill(number).await;
    load.live.send_replace(cluster.channels());
    cluster.raise(number).await;
    "killed"
}

async fn all_killed(cluster: &mut Cluster, load: &Load) -> &'static str {
    for number in 0..cluster.size() {
        cluster.kill(number).await;
    }
    load.live.send_replace(Vec::new());
    for number in 0..cluster.size() {
        cluster.raise(number).await;
        load.live.send_replace(cluster.channels());
    }
    "all killed"
}

/// It stands still while others go on, then finds what they did.
async fn paused(cluster: &mut Cluster, load: &Load, number: usize) -> &'static str {
    cluster.pause(number).await;
    let (answered, more) = (load.progress.borrow().answered, load.dice.below(60) as u64);
    timeout(MOMENT, load.until(|now| now.answered > answered + more)).await.ok();
    cluster.resume(number).await;
    "paused"
}

async fn stopped(cluster: &mut Cluster, load: &Load, number: usize) -> &'static str {
    cluster.stop(number).await;
    load.live.send_replace(cluster.channels());
    cluster.raise(number).await;
    "stopped"
}

/// By the database's clock everybody was silent for long enough to be dead: whoever comes first ends the others' streams, and they live.
fn jumped(cluster: &mut Cluster) -> &'static str {
    let by = i64::try_from(JUMP.as_micros()).expect("a short jump");
    cluster.faults.jumps.push(Jump { at: cluster.now(), by });
    cluster.database.advance(JUMP);
    "clock jumped"
}

/// The database server dies at once, and comes back.
async fn database(cluster: &mut Cluster, load: &Load) -> &'static str {
    let (from, database) = (cluster.now(), cluster.database.clone());
    let crash = tokio::task::spawn_blocking(move || {
        database.server().crash();
        database.server().restart();
    });
    crash.await.expect("it is there again");
    cluster.faults.outages.push(Outage { from, until: cluster.now() });
    let granted = load.progress.borrow().granted;
    // A replica that dies now would not start on a database that is not there yet.
    timeout(MOMENT, load.until(|now| now.granted > granted)).await.ok();
    "database crashed"
}

/// Redis forgets what it counted.
fn flushed(redis: &Redis) -> &'static str {
    redis.flush();
    "Redis flushed"
}

/// Redis dies, everybody goes on without it for a while, and it comes back empty.
async fn without(redis: &mut Redis, load: &Load) -> &'static str {
    redis.kill();
    let (answered, more) = (load.progress.borrow().answered, load.dice.below(60) as u64);
    timeout(MOMENT, load.until(|now| now.answered > answered + more)).await.ok();
    redis.raise();
    "Redis killed"
}
