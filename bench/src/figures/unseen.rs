//! IssueGrant with an assertion that nobody has seen (ES256), against the floor plus one bare verification.

use crate::{
    Fault,
    bench::{Bench, progress},
    call::Deck,
    finding::{Finding, Goal, Pair},
    load::{Line, Tally, Until, closed},
};
use std::sync::Arc;

const IN_FLIGHT: usize = 64;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let (floor, broker) = (bench.line(stand.floor.address).await?, bench.line(stand.broker()).await?);
    // As many as take about a span; a run ends when each was used once.
    let warm = bench.run(&floor, &stand.warm, IN_FLIGHT).await?;
    let count = (warm.rate() * bench.pace.span.as_secs_f64() / 2.0) as u64;
    let mut pairs = Vec::new();
    for run in 1..=bench.pace.runs {
        let deck = stand.estate.unseen(stand.people, count.max(100), run as u64)?;
        let least = all_once(bench, &floor, &deck).await?;
        let ours = all_once(bench, &broker, &deck).await?;
        pairs.push(Pair { limit: least.rate(), broker: ours.rate() });
        progress(format!(
            "unseen, {IN_FLIGHT} in flight, run {run}: {count} assertions, floor {:.0}/s, broker {:.0}/s",
            least.rate(),
            ours.rate()
        ));
    }
    Ok(vec![Finding {
        name: format!("IssueGrant, assertion never seen (ES256), {IN_FLIGHT} in flight, throughput"),
        unit: "grants/s",
        limit: "the floor plus one ring verification",
        goal: Goal::AtLeast(0.8),
        pairs,
        notes: vec![format!("{count} assertions a run")],
    }])
}

async fn all_once(bench: &Bench, line: &Line, deck: &Arc<Deck>) -> Result<Tally, Fault> {
    deck.begin_again();
    closed(&bench.clock, line, deck, IN_FLIGHT, Until::Empty).await?.all_granted()
}
