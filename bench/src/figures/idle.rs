//! One caller on an idle server: how long a grant takes, against an echo and one commit.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair, Spread},
    load::Line,
    stand::Stand,
};
use std::time::Duration;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let echo = Line::open(&[stand.echo.address], 1).await?;
    let broker = Line::open(&[stand.broker()], 1).await?;
    let (mut pairs, mut parts) = (Vec::new(), Vec::new());
    for run in 1..=bench.pace.runs {
        let bare = bench.run(&echo, &stand.warm, 1).await?.quantile(0.5);
        let commit = commits(bench, stand).await?;
        let ours = bench.run(&broker, &stand.warm, 1).await?.quantile(0.5);
        progress(format!("idle, run {run}: echo {bare:.0} µs, commit {commit:.0} µs, broker {ours:.0} µs"));
        pairs.push(Pair { limit: bare + commit, broker: ours });
        parts.push((bare, commit));
    }
    let bare = Spread::of(parts.iter().map(|(bare, _)| *bare)).median;
    let commit = Spread::of(parts.iter().map(|(_, commit)| *commit)).median;
    Ok(vec![Finding {
        name: "one caller, idle server, p50".to_owned(),
        unit: "µs",
        limit: "echo p50 plus one commit's p50",
        goal: Goal::AtMost(1.5),
        pairs,
        notes: vec![format!("echo {bare:.0} µs, commit {commit:.0} µs")],
    }])
}

/// The median time of a commit of one row, in microseconds.
async fn commits(bench: &Bench, stand: &Stand) -> Result<f64, Fault> {
    let mut pen = stand.pen.lock().await;
    let end = bench.clock.monotonic() + bench.pace.span.min(Duration::from_secs(2));
    let mut took = Vec::new();
    loop {
        let began = bench.clock.monotonic();
        if began >= end {
            return Ok(Spread::of(took).median);
        }
        pen.commit(1).await?;
        took.push(bench.clock.monotonic().saturating_sub(began).as_secs_f64() * 1e6);
    }
}
