//! Many times: load, a moment, SIGKILL, start.

use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Sockets};
use broker::config::Config;
use broker_tests::clock::ShiftedClock;
use broker_tests::dice::Dice;
use broker_tests::process::BrokerProcess;
use demo::saas::Event;
use demo::world::{Options, Site, Workload, World};
use tokio::task::JoinSet;

use super::ask::Ask;
use super::load::{Answer, Load};
use super::reckoning;

/// How often the process dies, unless the variable `KILL_ROUNDS` says otherwise; `tests/run kill` does.
const ROUNDS: usize = 20;
const CLIENTS: usize = 6;
/// A moment that does not come is not waited for longer than this.
const MOMENT: Duration = Duration::from_secs(4);
/// How long a refresh that died keeps its lease; its successor waits that long.
const LEASE: Duration = Duration::from_secs(60);
/// How often one person is asked in the end at most: to approve each workload, and once more when the refresh token was lost. A lost
/// one shows only when it is needed, which may be after an approval.
const MOST_VISITS: usize = Workload::ALL.len() + 1;

/// How often what was killed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Kills {
    /// While it served.
    pub serving: u64,
    /// On its way up: it may have opened a stream or not.
    pub starting: u64,
}

/// The process dies again and again while six clients ask, for one grant or for a batch, and people connect and revoke. Each
/// start needs no human; in the end the clients' answers, the log and the providers' own records agree, of a batch all was
/// issued or nothing, the log verifies, and whoever lost a refresh token is asked once.
///
/// Proves: AU1, AU8, AU17, GR6, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn au1_after_every_kill_each_received_grant_has_exactly_one_row() {
    let clock = Arc::new(ShiftedClock::default());
    let amend = |text: String| text.replace("level: warn", "level: info");
    let site = World::prepare(Options {
        clock: clock.clone(),
        amend_config: Some(Box::new(amend)),
        extra_config: "consent: { max_open_per_subject: 50 }".to_owned(),
        ..Options::default()
    });
    let site = site.await.expect("prepared");
    let seed = Dice::seed(&**site.rng());
    let rounds = match std::env::var("KILL_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("KILL_ROUNDS is a number"),
        Err(_) => ROUNDS,
    };
    println!("TEST_SEED={seed} KILL_ROUNDS={rounds}");
    let load = Arc::new(Load::new(Arc::new(site), seed));

    let mut work = JoinSet::new();
    (0..CLIENTS).for_each(|_| drop(work.spawn(Arc::clone(&load).ask_on())));
    // Two at a time: a person has one browser and does one thing after the other.
    [0..4, 4..8].into_iter().for_each(|people| drop(work.spawn(Arc::clone(&load).people_on(people))));
    let kills = kill_on(&load, rounds).await;
    load.over.send_replace(true);
    while let Some(ended) = work.join_next().await {
        ended.expect("no client panicked");
    }
    let load = Arc::into_inner(load).expect("everybody else ended");
    println!("{kills:?}, {} calls", load.calls.lock().expect("no holder panicked").len());

    reckoning::check(&load, kills).await;
    clock.advance(LEASE + Duration::from_secs(10));
    everybody_goes_on(&load).await;
    reckoning::reuse_is_a_lost_reply(&load).await;
}

async fn kill_on(load: &Load, rounds: usize) -> Kills {
    let mut kills = Kills::default();
    for round in 0..rounds {
        if load.dice.one_in(4) {
            let mut early = serve(&load.site);
            let moment = Duration::from_millis(load.dice.below(400) as u64);
            // Whether it got that far or not: it dies now.
            let _ = tokio::time::timeout(moment, early.listening()).await;
            early.kill().await;
            kills.starting += 1;
        }
        let mut broker = serve(&load.site);
        broker.listening().await;
        load.up.send_replace(true);
        for saas in [load.site.notes(), load.site.calendar()] {
            saas.set_access_lifetime(*load.dice.pick(&[6, 9, 30]));
        }
        let moment = tokio::time::timeout(MOMENT, moment(load, round)).await;
        broker.kill().await;
        load.up.send_replace(false);
        kills.serving += 1;
        println!("round {round}: {}", moment.unwrap_or("nothing happened for a while"));
    }
    let mut last = serve(&load.site);
    last.listening().await;
    load.up.send_replace(true);
    let answered = load.progress.borrow().answered;
    let mut progress = load.progress.subscribe();
    let goes_on = progress.wait_for(|now| now.answered > answered + 20);
    tokio::time::timeout(LEASE, goes_on).await.expect("answers come").expect("the load is there");
    last.terminate().await;
    load.up.send_replace(false);
    let (status, stderr) = last.ended().await;
    assert!(status.success(), "{status:?}: {stderr}");
    kills
}

fn serve(site: &Site) -> BrokerProcess {
    BrokerProcess::serve(site.directory(), "broker.yaml")
}

/// Waits for one of many moments: a call that was sent or answered, a provider that did its half of the work.
async fn moment(load: &Load, round: usize) -> &'static str {
    let mut progress = load.progress.subscribe();
    let start = *progress.borrow();
    let more = load.dice.below(30) as u64 + 1;
    // The first rounds let people connect, or there would be nothing to issue from.
    let _ = progress.wait_for(|now| now.walks >= start.walks + if round < 4 { 6 } else { 1 }).await;
    let start = *progress.borrow();
    let seen = load.site.notes().truth().len();
    let provider = |wanted: fn(&Event) -> bool| {
        load.site.notes().wait_until(move |events| events.iter().skip(seen).any(wanted))
    };
    match load.dice.below(6) {
        0 => drop(progress.wait_for(|now| now.sent >= start.sent + more).await),
        1 => drop(progress.wait_for(|now| now.answered >= start.answered + more).await),
        2 | 3 => {
            provider(|event| matches!(event, Event::Refreshed { .. })).await;
            return "the provider refreshed";
        }
        4 => {
            provider(|event| matches!(event, Event::TokensIssued { .. })).await;
            return "the provider redeemed a code";
        }
        _ => {
            provider(|event| matches!(event, Event::Revoked { .. })).await;
            return "the provider revoked";
        }
    }
    "some calls later"
}

/// Whatever was lost, a few visits to the pages and everybody is served again.
async fn everybody_goes_on(load: &Load) {
    let site = &load.site;
    // A broker inside this process reads the clock that was put ahead: no lease of the dead is waited for.
    let config = Config::load(&site.config_path()).expect("the same configuration");
    let sockets = Sockets::bind(&config).expect("the same ports");
    let started = app::start(&config, Arc::clone(site.clock()), Arc::clone(site.rng()), sockets).await;
    let broker = started.expect("starts on what the dead left");
    let rooms = broker.rooms();
    let log = (&*rooms.store.ledger, &*rooms.store.audit_log);
    let verified = broker::audit::verify(log.0, log.1, &rooms.keys.audit_keys(), &mut |_| {}).await;
    verified.expect("the log verifies by the library too");
    for person in 0..load.crew.len() {
        let mut visits = 0;
        let [helper, writer] = Workload::ALL;
        for (workload, batch, most) in
            [(helper, false, MOST_VISITS), (writer, false, MOST_VISITS), (helper, true, MOST_VISITS + 2)]
        {
            loop {
                let ask = Ask {
                    purpose: format!("afterwards {person} {workload:?} {visits}"),
                    person,
                    workload,
                    scopes: vec!["notes.read".to_owned()],
                    batch,
                    request_id: None,
                };
                match load.call(ask).await {
                    Answer::Granted(_) => break,
                    Answer::Consent(links) => load.crew[person].connect(&links).await.expect("the walk ends"),
                    Answer::Other(why) => panic!("person {person} gets no grant for {workload:?}: {why}"),
                }
                visits += 1;
                assert!(visits <= most, "person {person} is asked again and again by {workload:?}");
            }
        }
    }
    broker.stop(LEASE).await;
}
