//! Twice the capacity in an open loop: what is admitted is served as usual, the rest is told at once, health answers.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair},
    load::{Line, open},
};
use broker::domain::Clock;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tonic::{Request, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const IN_FLIGHT: usize = 256;
/// Many tool servers: 256 streams each are more than the broker admits at once, so that it is the broker that sheds.
const FLOOD_CONNECTIONS: usize = 16;
/// A caller's own deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often health is asked for, and for how long.
const HEALTH_EVERY: Duration = Duration::from_millis(250);
const HEALTH_PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let usual = bench.line(stand.broker()).await?;
    let crowd = Line::open(&[stand.broker()], FLOOD_CONNECTIONS).await?;
    let mut seen = Seen::default();
    for run in 1..=bench.pace.runs {
        let mut capacity = bench.run(&usual, &stand.warm, IN_FLIGHT).await?;
        let health = watch_health(Arc::clone(&bench.clock), stand.broker()).await?;
        let rate = capacity.rate() * 2.0;
        let mut flood = open(&bench.clock, &crowd, &stand.warm, rate, bench.pace.flood, PATIENCE).await;
        let health = health.stop().await?;
        let sent = rate * bench.pace.flood.as_secs_f64();
        progress(format!(
            "overload, run {run}: capacity {:.0}/s p99 {:.0} µs; at {rate:.0}/s: {:.0}/s granted, p99 {:.0} µs, {:.0} % shed, failed {:?}, health {}/{} slowest {:?}",
            capacity.rate(),
            capacity.quantile(0.99),
            flood.rate(),
            flood.quantile(0.99),
            flood.shed as f64 * 100.0 / sent,
            flood.failed,
            health.answered,
            health.asked,
            health.slowest,
        ));
        seen.goodput.push(Pair { limit: capacity.rate(), broker: flood.rate() });
        seen.tail.push(Pair { limit: capacity.quantile(0.99), broker: flood.quantile(0.99) });
        seen.odd.push(Pair { limit: sent, broker: flood.failures() as f64 });
        seen.health.push(Pair { limit: f64::from(health.asked), broker: f64::from(health.answered) });
    }
    Ok(seen.findings(bench))
}

#[derive(Default)]
struct Seen {
    goodput: Vec<Pair>,
    tail: Vec<Pair>,
    odd: Vec<Pair>,
    health: Vec<Pair>,
}

impl Seen {
    fn findings(self, bench: &Bench) -> Vec<Finding> {
        let seconds = bench.pace.flood.as_secs();
        let finding = |what: &str, unit, limit, goal, pairs| Finding {
            name: format!("open loop at 2 × capacity for {seconds} s, {what}"),
            unit,
            limit,
            goal,
            pairs,
            notes: vec![],
        };
        vec![
            finding("goodput", "grants/s", "capacity", Goal::AtLeast(0.9), self.goodput),
            finding("p99 of what was admitted", "µs", "p99 at capacity", Goal::AtMost(3.0), self.tail),
            finding(
                "neither grant nor RESOURCE_EXHAUSTED",
                "calls",
                "calls made",
                Goal::AtMost(0.0),
                self.odd,
            ),
            finding("health answered within 1 s", "answers", "asked", Goal::AtLeast(1.0), self.health),
        ]
    }
}

/// How health did.
#[derive(Default, Clone, Copy)]
struct Health {
    asked: u32,
    answered: u32,
    slowest: Duration,
}

struct Watch {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Health>,
}

impl Watch {
    async fn stop(self) -> Result<Health, Fault> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

async fn watch_health(clock: Arc<dyn Clock>, broker: SocketAddr) -> Result<Watch, Fault> {
    let channel = Endpoint::from_shared(format!("http://{broker}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut health = Health::default();
        while !stopped.is_cancelled() {
            let began = clock.monotonic();
            let question = client.check(Request::new(HealthCheckRequest::default()));
            health.asked += 1;
            if let Ok(Ok(answer)) = tokio::time::timeout(HEALTH_PATIENCE, question).await
                && answer.get_ref().status() == ServingStatus::Serving
            {
                health.answered += 1;
            }
            health.slowest = health.slowest.max(clock.monotonic().saturating_sub(began));
            tokio::time::sleep(HEALTH_EVERY).await;
        }
        health
    });
    Ok(Watch { stop, task })
}
