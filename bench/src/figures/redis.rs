//! Warm calls while Redis is killed, against the same with Redis there: who holds a good token must not notice.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair},
    replica::Replica,
    stand::call_all,
};
use broker::{config::Config, relay::Relay};
use broker_testkit::Redis;
use std::{fs, time::Duration};

const IN_FLIGHT: usize = 64;
/// Longest until a broker notices that Redis is there again.
const NOTICED: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let world = &stand.estate.world;
    let mut redis = Redis::start();
    let path = world.config_path().with_file_name("with-redis.yaml");
    fs::write(&path, fs::read_to_string(world.config_path())? + &redis.section())?;
    let broker = Replica::with(&Config::load(&path)?, world).await?;
    let relay = broker.relay();
    call_all(&bench.clock, broker.address, &stand.warm).await?;
    let line = bench.line(broker.address).await?;
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    for run in 1..=bench.pace.runs {
        works(&relay).await?;
        let mut with = bench.run(&line, &stand.warm, IN_FLIGHT).await?;
        let soon = bench.pace.warm_up + bench.pace.span / 4;
        let killed = async {
            tokio::time::sleep(soon).await;
            tokio::task::spawn_blocking(move || {
                redis.kill();
                redis
            })
            .await
        };
        let (without, killed) = tokio::join!(bench.run(&line, &stand.warm, IN_FLIGHT), killed);
        let mut without = without?;
        redis = killed?;
        redis.raise();
        progress(format!(
            "redis, run {run}: there {:.0}/s p99 {:.0} µs, killed {:.0}/s p99 {:.0} µs",
            with.rate(),
            with.quantile(0.99),
            without.rate(),
            without.quantile(0.99)
        ));
        rates.push(Pair { limit: with.rate(), broker: without.rate() });
        tails.push(Pair { limit: with.quantile(0.99), broker: without.quantile(0.99) });
    }
    broker.stop().await;
    let finding = |what: &str, unit, goal, pairs| Finding {
        name: format!("IssueGrant warm, {IN_FLIGHT} in flight, Redis killed in the run, {what}"),
        unit,
        limit: "Redis there",
        goal,
        pairs,
        notes: vec![],
    };
    Ok(vec![
        finding("p99", "µs", Goal::AtMost(1.1), tails),
        finding("throughput", "grants/s", Goal::AtLeast(0.9), rates),
    ])
}

async fn works(relay: &Relay) -> Result<(), Fault> {
    let there = async {
        while !relay.works() {
            tokio::time::sleep(LOOK).await;
        }
    };
    Ok(tokio::time::timeout(NOTICED, there).await?)
}
