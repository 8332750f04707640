//! Memory with a hundred thousand hot connections and as many assertions seen. The broker runs in a process of its own: what
//! the load generator holds is not its memory.

use crate::{
    Fault,
    bench::{Bench, progress},
    child::Child,
    estate::Estate,
    finding::{Finding, Goal, Pair, Spread},
    load::{Line, open},
    stand::{CONNECTIONS, call_all},
};
use std::{sync::Arc, time::Duration};

const BOUND_MIB: f64 = 256.0;
/// Calls a second while memory is watched: busy, far from its limits.
const RATE: f64 = 1_000.0;
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at the process.
const LOOKS: u32 = 60;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let hot = bench.pace.hot;
    progress(format!("connecting {hot} people"));
    let estate = Estate::found(&bench.databases).await?;
    estate.settle(hot).await?;
    let deck = estate.deck(0..hot)?;
    let address = estate.world.addresses().grpc;
    let site = estate.close().await;
    let broker = Child::start(&site.config_path()).await?;
    let empty = broker.resident_mib()?;
    call_all(&bench.clock, address, &deck).await?;
    let after_all = broker.resident_mib()?;
    progress(format!("memory: {empty:.0} MiB at start, {after_all:.0} MiB after {hot} people called"));

    let line = Line::open(&[address], CONNECTIONS).await?;
    let load = {
        let (clock, deck, watch) = (Arc::clone(&bench.clock), Arc::clone(&deck), bench.pace.watch);
        tokio::spawn(async move { open(&clock, &line, &deck, RATE, watch, PATIENCE).await })
    };
    let mut looks = Vec::new();
    for look in 1..=LOOKS {
        tokio::time::sleep(bench.pace.watch / LOOKS).await;
        looks.push(broker.resident_mib()?);
        if look % 10 == 0 {
            progress(format!("memory: {:.0} MiB", looks[looks.len() - 1]));
        }
    }
    // A machine too slow for the rate sheds some: the memory is measured all the same, and the note says so.
    let answered = load.await?;
    if answered.granted() == 0 || answered.failures() > 0 {
        return Err(format!("{} grants, failed: {:?}", answered.granted(), answered.failed).into());
    }
    broker.stop().await?;
    drop(site);
    let (first, last) = looks.split_at(looks.len() / 2);
    let part = |looks: &[f64]| Spread::of(looks.iter().copied()).median;
    let peak = looks.iter().copied().fold(after_all, f64::max);
    let minutes = bench.pace.watch.as_secs_f64() / 60.0;
    let finding = |what: String, limit, goal, pair, notes| Finding {
        name: what,
        unit: "MiB",
        limit,
        goal,
        pairs: vec![pair],
        notes,
    };
    let note = format!(
        "{empty:.0} MiB before the first call; {:.0} grants/s and {} shed meanwhile; one run",
        answered.rate(),
        answered.shed
    );
    Ok(vec![
        finding(
            format!("resident memory, {hot} hot connections and assertions"),
            "256 MiB",
            Goal::AtMost(1.0),
            Pair { limit: BOUND_MIB, broker: peak },
            vec![note],
        ),
        finding(
            format!("the same over {minutes:.0} minutes, second half"),
            "first half",
            Goal::AtMost(1.05),
            Pair { limit: part(first), broker: part(last) },
            vec![],
        ),
    ])
}
