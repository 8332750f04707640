//! Verifying one assertion nobody has seen, on one core: the identity room against bare ring.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair},
};
use broker::{domain::Clock, identity::VerifiedWorkload, usecase::Rooms};
use demo::world::Workload;
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Handle;

/// Assertions in one measurement.
const TOKENS: u64 = 4_000;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let rooms = stand.estate.rooms();
    let secret = format!("Bearer {}", stand.estate.world.secret(Workload::TicketHelper));
    let workload = rooms.identity.workload(Some(&secret)).await?;
    let mut pairs = Vec::new();
    for run in 1..=bench.pace.runs {
        let token = |n| stand.estate.assertion(n % stand.people, ((run as u64) << 40) + n);
        let tokens: Arc<Vec<String>> = Arc::new((0..TOKENS).map(token).collect());
        let (key, clock, list) = (stand.key.clone(), Arc::clone(&bench.clock), Arc::clone(&tokens));
        let bare = tokio::task::spawn_blocking(move || {
            timed(&*clock, || list.iter().all(|token| black_box(key.verifies(token))))
        });
        let bare = bare.await?.ok_or("ring refused an assertion")?;
        let (rooms, workload, clock) = (Arc::clone(rooms), workload.clone(), Arc::clone(&bench.clock));
        let ours = tokio::task::spawn_blocking(move || {
            timed(&*clock, || Handle::current().block_on(verify_all(&rooms, &workload, &tokens)))
        });
        let ours = ours.await?.ok_or("the identity room refused an assertion")?;
        progress(format!("verify, run {run}: ring {bare:.1} µs, broker {ours:.1} µs"));
        pairs.push(Pair { limit: bare, broker: ours });
    }
    Ok(vec![Finding {
        name: "verifying one assertion (ES256), one core".to_owned(),
        unit: "µs",
        limit: "bare ring verification",
        goal: Goal::AtMost(1.15),
        pairs,
        notes: vec![format!("{TOKENS} assertions a run; includes parsing, claims and remembering")],
    }])
}

async fn verify_all(rooms: &Rooms, workload: &VerifiedWorkload, tokens: &[String]) -> bool {
    for token in tokens {
        if rooms.identity.assertion(token, workload).await.is_err() {
            return false;
        }
    }
    true
}

/// Microseconds for each of the [`TOKENS`]; `None` when `work` did not succeed.
fn timed(clock: &dyn Clock, work: impl FnOnce() -> bool) -> Option<f64> {
    let began = clock.monotonic();
    let done = work();
    let took = clock.monotonic().saturating_sub(began);
    done.then(|| took.as_secs_f64() * 1e6 / TOKENS as f64)
}
