//! A million stored connections against a thousand: what is hot must not pay for what is stored.

use crate::{
    Fault,
    bench::{Bench, progress},
    estate::Estate,
    finding::{Finding, Goal, Pair},
    stand::call_all,
};
use std::sync::Arc;

const FEW: u64 = 1_000;
const IN_FLIGHT: usize = 64;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let many = bench.pace.stored;
    let (small, few) = populated(bench, FEW).await?;
    let (large, deck) = populated(bench, many).await?;
    let small_line = bench.line(small.world.addresses().grpc).await?;
    let large_line = bench.line(large.world.addresses().grpc).await?;
    let mut pairs = Vec::new();
    for run in 1..=bench.pace.runs {
        let mut first = bench.run(&small_line, &few, IN_FLIGHT).await?;
        let mut second = bench.run(&large_line, &deck, IN_FLIGHT).await?;
        let pair = Pair { limit: first.quantile(0.99), broker: second.quantile(0.99) };
        progress(format!(
            "stored, run {run}: p99 {:.0} µs with {FEW}, {:.0} µs with {many}",
            pair.limit, pair.broker
        ));
        pairs.push(pair);
    }
    drop((small.close().await, large.close().await));
    Ok(vec![Finding {
        name: format!("{many} connections stored, {FEW} of them hot, {IN_FLIGHT} in flight, p99"),
        unit: "µs",
        limit: "1000 connections stored",
        goal: Goal::AtMost(1.2),
        pairs,
        notes: vec![],
    }])
}

/// An estate of `people` and a deck of [`FEW`] of them, spread evenly; each has called once.
async fn populated(bench: &Bench, people: u64) -> Result<(Estate, Arc<crate::call::Deck>), Fault> {
    progress(format!("connecting {people} people"));
    let estate = Estate::found(&bench.databases).await?;
    estate.settle(people).await?;
    let apart = (people / FEW).max(1);
    let deck = estate.deck((0..FEW.min(people)).map(|n| n * apart))?;
    call_all(&bench.clock, estate.world.addresses().grpc, &deck).await?;
    Ok((estate, deck))
}
