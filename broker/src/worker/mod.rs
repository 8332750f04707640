//! Driven by the clock: expire consents, retry revocations at providers, write refusal summaries, forget what is over.

use crate::{
    audit::{Deadline, Summary},
    domain::Refusal,
    usecase,
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usecase::Rooms;

/// Between two rounds of a duty.
const EVERY: Duration = Duration::from_secs(15);

/// What is to be done again and again.
#[derive(Clone, Copy)]
enum Duty {
    ConsentExpiry,
    Revocations,
    RefusalSummaries,
    Purge,
}

impl Duty {
    const ALL: [Self; 4] = [Self::ConsentExpiry, Self::Revocations, Self::RefusalSummaries, Self::Purge];

    fn as_str(self) -> &'static str {
        match self {
            Self::ConsentExpiry => "consent expiry",
            Self::Revocations => "revocation at providers",
            Self::RefusalSummaries => "refusal summary",
            Self::Purge => "purge",
        }
    }

    async fn once(self, rooms: &Arc<Rooms>) {
        let done = match self {
            Self::ConsentExpiry => usecase::expire_overdue(rooms).await.map(drop),
            Self::Revocations => usecase::retry_revocations(rooms).await.map(drop),
            Self::RefusalSummaries => summarise(rooms).await,
            Self::Purge => {
                let purged = rooms.store.sessions.purge(rooms.clock.now()).await;
                purged.map(drop).map_err(Refusal::from)
            }
        };
        report(rooms, self.as_str(), done);
    }

    /// A failed round is logged and tried again at the next.
    async fn again_and_again(self, rooms: Arc<Rooms>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if matches!(self, Self::Revocations) {
                // A provider may take its time; what it was not told of by then is in the queue at the next start.
                let _ = stop.run_until_cancelled(self.once(&rooms)).await;
            } else {
                self.once(&rooms).await;
            }
        }
    }
}

/// Works until told to stop. Each duty has a task of its own, so that a provider which takes its time holds up other providers'
/// revocations for a bounded time (see [`usecase::retry_revocations`]) and nothing else.
pub async fn run(rooms: Arc<Rooms>, stop: CancellationToken) {
    let mut duties = JoinSet::new();
    for duty in Duty::ALL {
        duties.spawn(duty.again_and_again(Arc::clone(&rooms), stop.clone()));
    }
    while let Some(ended) = duties.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "background work ended before its time; it goes on at the next start");
        }
    }
    // The last refusals are written before the log is closed.
    let last = rooms.refusals.drain_all();
    report(&rooms, Duty::RefusalSummaries.as_str(), write(&rooms, last).await);
}

/// One round of everything.
pub async fn round(rooms: &Arc<Rooms>) {
    for duty in Duty::ALL {
        duty.once(rooms).await;
    }
}

/// AU2: refusals before authentication, one row per listener, reason, source and minute.
async fn summarise(rooms: &Rooms) -> Result<(), Refusal> {
    if !rooms.audit.is_open() {
        return Ok(());
    }
    let over = rooms.refusals.drain(rooms.clock.now());
    write(rooms, over).await
}

/// What cannot be written now is counted again, and written once it can be.
async fn write(rooms: &Rooms, summaries: Vec<Summary>) -> Result<(), Refusal> {
    let mut summaries = summaries.into_iter();
    while let Some(summary) = summaries.next() {
        if let Err(refused) = rooms.audit.note(rooms.refusals.entry(&summary), Deadline::none()).await {
            rooms.refusals.put_back(std::iter::once(summary).chain(summaries));
            return Err(refused.into());
        }
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
