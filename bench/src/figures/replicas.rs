//! Two replicas on one database against one: they must not make each other wait.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair},
    load::Line,
    replica::Replica,
    stand::{CONNECTIONS, call_all},
};

const IN_FLIGHT: usize = 256;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let replica = Replica::beside(&stand.estate.world).await?;
    call_all(&bench.clock, replica.address, &stand.warm).await?;
    let one = bench.line(stand.broker()).await?;
    let both = Line::open(&[stand.broker(), replica.address], CONNECTIONS / 2).await?;
    let mut pairs = Vec::new();
    for run in 1..=bench.pace.runs {
        let single = bench.run(&one, &stand.warm, IN_FLIGHT).await?;
        let total = bench.run(&both, &stand.warm, IN_FLIGHT).await?;
        progress(format!("replicas, run {run}: one {:.0}/s, two {:.0}/s", single.rate(), total.rate()));
        pairs.push(Pair { limit: single.rate(), broker: total.rate() });
    }
    replica.stop().await;
    Ok(vec![Finding {
        name: format!("two replicas on one database, {IN_FLIGHT} in flight, total throughput"),
        unit: "grants/s",
        limit: "one replica",
        goal: Goal::AtLeast(0.95),
        pairs,
        notes: vec![],
    }])
}
