//! IssueGrant with an assertion that was seen before and a fresh token, against the floor.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair, Spread},
};
use std::sync::Arc;

/// Calls in flight.
const IN_FLIGHT: [usize; 2] = [64, 256];

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let mut findings = Vec::new();
    for in_flight in IN_FLIGHT {
        findings.extend(at(bench, in_flight).await?);
    }
    Ok(findings)
}

async fn at(bench: &Bench, in_flight: usize) -> Result<[Finding; 2], Fault> {
    let stand = bench.stand()?;
    let (echo, floor) = (bench.line(stand.echo.address).await?, bench.line(stand.floor.address).await?);
    let broker = bench.line(stand.broker()).await?;
    let deck = Arc::clone(&stand.warm);
    let (mut rates, mut tails, mut echoes) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=bench.pace.runs {
        let bare = bench.run(&echo, &deck, in_flight).await?;
        let mut least = bench.run(&floor, &deck, in_flight).await?;
        let mut ours = bench.run(&broker, &deck, in_flight).await?;
        echoes.push(Pair { limit: bare.rate(), broker: least.rate() });
        rates.push(Pair { limit: least.rate(), broker: ours.rate() });
        tails.push(Pair { limit: least.quantile(0.99), broker: ours.quantile(0.99) });
        progress(format!(
            "warm, {in_flight} in flight, run {run}: echo {:.0}/s, floor {:.0}/s p99 {:.0} µs, broker {:.0}/s p99 {:.0} µs",
            bare.rate(),
            least.rate(),
            least.quantile(0.99),
            ours.rate(),
            ours.quantile(0.99)
        ));
    }
    let bare = Spread::of(echoes.iter().map(|pair| pair.limit));
    let share = Spread::of(echoes.iter().map(|pair| pair.broker / pair.limit));
    let note =
        format!("bare echo {:.0}/s; the floor reaches {:.0} % of it", bare.median, share.median * 100.0);
    let name = |what: &str| format!("IssueGrant warm, {in_flight} in flight, {what}");
    let rate = Finding {
        name: name("throughput"),
        unit: "grants/s",
        limit: "the floor",
        goal: Goal::AtLeast(0.8),
        pairs: rates,
        notes: vec![note],
    };
    let tail = Finding {
        name: name("p99"),
        unit: "µs",
        goal: Goal::AtMost(1.5),
        pairs: tails,
        notes: vec![],
        ..rate.clone()
    };
    Ok([rate, tail])
}
