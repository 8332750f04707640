//! Driven by the clock: expire consents, retry revocations at providers, write refusal summaries, forget what is over.

use crate::{
    audit::Deadline,
    domain::{Entry, Refusal},
    usecase,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use usecase::Rooms;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(15);

/// Works until told to stop. A failed round is logged and tried again at the next.
pub async fn run(rooms: Arc<Rooms>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => round(&rooms).await,
        }
    }
    // The last refusals are written before the log is closed.
    let last = rooms.refusals.drain_all();
    report(&rooms, "refusal summary", write(&rooms, last).await);
}

/// One round of everything.
pub async fn round(rooms: &Arc<Rooms>) {
    report(rooms, "consent expiry", usecase::expire_overdue(rooms).await.map(drop));
    report(rooms, "revocation at providers", usecase::retry_revocations(rooms).await.map(drop));
    report(rooms, "refusal summary", summarise(rooms).await);
    let purged = rooms.store.sessions.purge(rooms.clock.now()).await;
    report(rooms, "purge", purged.map(drop).map_err(Refusal::from));
}

/// AU2: refusals before authentication, one row per listener, reason, source and minute.
async fn summarise(rooms: &Rooms) -> Result<(), Refusal> {
    // What is drained is forgotten: not while it cannot be written.
    if !rooms.audit.is_open() {
        return Ok(());
    }
    let over = rooms.refusals.drain(rooms.clock.now());
    write(rooms, over).await
}

async fn write(rooms: &Rooms, entries: Vec<Entry>) -> Result<(), Refusal> {
    for entry in entries {
        rooms.audit.note(entry, Deadline::none()).await?;
    }
    Ok(())
}

fn report(rooms: &Rooms, what: &'static str, result: Result<(), Refusal>) {
    if let Err(refusal) = result {
        rooms.metrics.work_failed(what);
        tracing::warn!(
            work = what,
            reason = refusal.reason.as_str(),
            "background work failed; it is tried again"
        );
    }
}
