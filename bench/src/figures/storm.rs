//! A crowd at one connection whose access token ran out and whose refresh token is good once: how often the provider is asked, and how
//! long the last of the crowd waits.

use crate::{
    Fault,
    bench::{Bench, progress},
    call::{Call, Deck},
    estate::Estate,
    finding::{Finding, Goal, Pair, Spread},
    load::{Line, Tally, Until, closed},
    provider::Provider,
    replica::Replica,
    stand::{CONNECTIONS, call_all},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

const CALLERS: usize = 500;
const REPLICAS: usize = 3;
/// So long does the provider take: all callers are there when it answers.
const DELAY: Duration = Duration::from_millis(250);
/// Lone refreshes beside each storm.
const LONE: usize = 5;
/// How long the first access tokens live: handed out for half of it, so that everybody can be called for once before, and for nothing
/// once a few seconds are left.
const LIFE: Duration = Duration::from_secs(20);
/// A caller finds that its token ran out. One process that has all callers makes room for those that wait for one provider: a quarter of
/// what it serves at once.
const SETTINGS: &str = "refresh: { ahead: false }\n";
const ROOM: &str = "limits: { max_concurrent_requests: 2048 }\n";

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let provider = Provider::start(DELAY).await?;
    let several = bench.dialect.has_replicas();
    let settings = if several { SETTINGS.to_owned() } else { format!("{SETTINGS}{ROOM}") };
    let estate = Estate::with(&bench.databases, provider.options(settings)).await?;
    let mut others = Vec::new();
    for _ in 1..if several { REPLICAS } else { 1 } {
        others.push(Replica::beside(&estate.world).await?);
    }
    let mut addresses: Vec<SocketAddr> = others.iter().map(|replica| replica.address).collect();
    addresses.push(estate.world.addresses().grpc);

    let people = (bench.pace.runs * (LONE + 1)) as u64;
    progress(format!("connecting {people} people to {} brokers", addresses.len()));
    estate.settle_for(people, LIFE).await?;
    let over = bench.clock.monotonic() + LIFE;
    let calls: Vec<Call> = (0..people).map(|person| estate.call(person, 0)).collect::<Result<_, _>>()?;
    let everybody = Arc::new(Deck::of(calls.clone()));
    for address in &addresses {
        call_all(&bench.clock, *address, &everybody).await?;
    }
    if provider.calls().await?.granted > 0 {
        return Err("the machine is too slow: tokens ran out before everybody had been called for".into());
    }
    progress("waiting until the tokens run out");
    tokio::time::sleep(over.saturating_sub(bench.clock.monotonic())).await;

    let line = Line::open(&addresses, CONNECTIONS).await?;
    let mut seen = Seen { replicas: addresses.len(), ..Seen::default() };
    for (run, calls) in calls.chunks(LONE + 1).enumerate() {
        seen.run(bench, &provider, &line, calls, run + 1).await?;
    }
    for replica in others {
        replica.stop().await;
    }
    drop(estate.close().await);
    Ok(seen.findings())
}

#[derive(Default)]
struct Seen {
    replicas: usize,
    /// Provider calls against storms; callers granted against callers.
    asked: Pair,
    granted: Pair,
    /// Milliseconds.
    waits: Vec<Pair>,
    fresh: Vec<f64>,
}

impl Seen {
    async fn run(
        &mut self,
        bench: &Bench,
        provider: &Provider,
        line: &Line,
        calls: &[Call],
        run: usize,
    ) -> Result<(), Fault> {
        let (crowd, lone) = calls.split_first().ok_or("nobody to call for")?;
        let mut alone = Vec::new();
        for call in lone {
            alone.push(milliseconds(&at_once(bench, line, call, 1).await?.all_granted()?));
        }
        let before = provider.calls().await?;
        let storm = at_once(bench, line, crowd, CALLERS).await?;
        let after = provider.calls().await?;
        let asked = (after.granted + after.refused).saturating_sub(before.granted + before.refused);
        // The same crowd with nothing to wait for.
        let fresh = milliseconds(&at_once(bench, line, crowd, CALLERS).await?.all_granted()?);
        let pair = Pair { limit: Spread::of(alone).median, broker: milliseconds(&storm) };
        progress(format!(
            "storm, run {run}: {asked} provider calls, {} of {CALLERS} granted, {} shed, failed {:?}; lone {:.0} ms, last of the crowd {:.0} ms, of the same crowd with a fresh token {fresh:.0} ms",
            storm.granted(),
            storm.shed,
            storm.failed,
            pair.limit,
            pair.broker,
        ));
        self.asked.limit += 1.0;
        self.asked.broker += asked as f64;
        self.granted.limit += CALLERS as f64;
        self.granted.broker += storm.granted() as f64;
        self.waits.push(pair);
        self.fresh.push(fresh);
        Ok(())
    }

    fn findings(self) -> Vec<Finding> {
        let at = match self.replicas {
            1 => "one replica".to_owned(),
            many => format!("{many} replicas"),
        };
        let finding = |what: &str, unit, limit, goal, pairs, notes| Finding {
            name: format!("{CALLERS} callers of {at} at one connection that ran out, {what}"),
            unit,
            limit,
            goal,
            pairs,
            notes,
        };
        let storms = format!("{} storms together", self.asked.limit);
        let fresh = Spread::of(self.fresh).median;
        let crowd = format!(
            "the provider takes {} ms of it; the last of the same crowd waits {fresh:.0} ms where the token is fresh",
            DELAY.as_millis()
        );
        let once = Goal::AtMost(1.0);
        vec![
            finding("provider calls", "calls", "one for each storm", once, vec![self.asked], vec![storms]),
            finding("granted", "callers", "all", Goal::AtLeast(1.0), vec![self.granted], vec![]),
            finding("last answer", "ms", "one lone refresh", Goal::AtMost(2.5), self.waits, vec![crowd]),
        ]
    }
}

/// So many make the same call at once.
async fn at_once(bench: &Bench, line: &Line, call: &Call, callers: usize) -> Result<Tally, Fault> {
    let deck = Arc::new(Deck::of(vec![call.clone(); callers]));
    closed(&bench.clock, line, &deck, callers, Until::Empty).await
}

/// Until the last was answered.
fn milliseconds(tally: &Tally) -> f64 {
    tally.span.as_secs_f64() * 1e3
}
