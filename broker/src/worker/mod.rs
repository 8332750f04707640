//! Driven by the clock: store what waits in the spool and give back what is nobody's, refresh ahead, expire consents, retry revocations at providers, count what ends soon, write refusal summaries, forget what is over, notice further keys.

use crate::{
    audit::{Deadline, Summary},
    domain::{Reason, Refusal},
    metrics::Metrics,
    usecase,
};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usecase::Rooms;

/// Between two rounds of a duty.
const EVERY: Duration = Duration::from_secs(15);

/// Between two looks into the spool.
const SPOOL_EVERY: Duration = Duration::from_secs(1);

/// Between two counts of what is over in days: every connection is looked at.
const DEADLINES_EVERY: Duration = Duration::from_secs(600);

/// Between two looks for keys that operators made: so soon after `broker keys rotate` every replica wraps with the new one.
const KEYS_EVERY: Duration = Duration::from_secs(5);

/// What is to be done again and again.
#[derive(Clone, Copy)]
enum Duty {
    Spool,
    GiveBack,
    RefreshAhead,
    ConsentExpiry,
    Revocations,
    Deadlines,
    RefusalSummaries,
    Purge,
    Keys,
}

impl Duty {
    const ALL: [Self; 9] = [
        Self::Spool,
        Self::GiveBack,
        Self::RefreshAhead,
        Self::ConsentExpiry,
        Self::Revocations,
        Self::Deadlines,
        Self::RefusalSummaries,
        Self::Purge,
        Self::Keys,
    ];

    /// What waits in the spool is wanted by its owner's next caller.
    fn every(self) -> Duration {
        match self {
            Self::Spool | Self::GiveBack => SPOOL_EVERY,
            Self::Deadlines => DEADLINES_EVERY,
            Self::Keys => KEYS_EVERY,
            _ => EVERY,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::GiveBack => "giving back from the spool",
            Self::RefreshAhead => "refresh ahead",
            Self::ConsentExpiry => "consent expiry",
            Self::Revocations => "revocation at providers",
            Self::Deadlines => "deadlines",
            Self::RefusalSummaries => "refusal summary",
            Self::Purge => "purge",
            Self::Keys => "further keys",
        }
    }

    async fn once(self, rooms: &Arc<Rooms>) -> Result<(), Refusal> {
        match self {
            Self::Spool => usecase::drain_spool(rooms).await.map(drop),
            Self::GiveBack => usecase::give_back_spooled(rooms).await,
            Self::RefreshAhead => usecase::refresh_ahead(rooms).await.map(drop),
            Self::ConsentExpiry => usecase::expire_overdue(rooms).await.map(drop),
            Self::Revocations => usecase::retry_revocations(rooms).await.map(drop),
            Self::Deadlines => usecase::count_ending(rooms).await,
            Self::RefusalSummaries => summarise(rooms).await,
            Self::Purge => {
                let purged = rooms.store.sessions.purge(rooms.clock.now()).await;
                purged.map(drop).map_err(Refusal::from)
            }
            Self::Keys => Ok(rooms.keys.notice_further_keys().await?),
        }
    }

    async fn until_stopped(self, rooms: Arc<Rooms>, stop: CancellationToken) {
        let round = || async {
            match self {
                // A provider may take its time; what it was not told of by then is in the queue, or in the spool, at the next start.
                Self::GiveBack | Self::Revocations | Self::RefreshAhead => {
                    stop.run_until_cancelled(self.once(&rooms)).await.unwrap_or(Ok(()))
                }
                _ => self.once(&rooms).await,
            }
        };
        again_and_again(&rooms.metrics, self.as_str(), self.every(), &stop, round).await;
    }
}

/// A failed round is logged and tried again at the next. So is one that panics: the next finds the tables as they are.
async fn again_and_again<R: Future<Output = Result<(), Refusal>>>(
    metrics: &Metrics,
    what: &'static str,
    every: Duration,
    stop: &CancellationToken,
    round: impl Fn() -> R,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // First: once told to stop, a round that is due as well is not begun.
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let done = AssertUnwindSafe(round()).catch_unwind().await;
        report(
            metrics,
            what,
            done.unwrap_or_else(|_| Err(Refusal::because(Reason::Internal, "It panicked."))),
        );
    }
}

/// Works until told to stop. Each duty has a task of its own, so that a provider which takes its time holds up what other providers are
/// to be told for a bounded time (see [`usecase::retry_revocations`] and [`usecase::give_back_spooled`]), and nothing that is to be stored.
pub async fn run(rooms: Arc<Rooms>, stop: CancellationToken) {
    let mut duties = JoinSet::new();
    for duty in Duty::ALL {
        duties.spawn(duty.until_stopped(Arc::clone(&rooms), stop.clone()));
    }
    while let Some(ended) = duties.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "background work ended before its time; it goes on at the next start");
        }
    }
    // The last refusals are written before the log is closed.
    let last = rooms.refusals.drain_all();
    report(&rooms.metrics, Duty::RefusalSummaries.as_str(), write(&rooms, last).await);
}

/// One round of everything.
pub async fn round(rooms: &Arc<Rooms>) {
    for duty in Duty::ALL {
        report(&rooms.metrics, duty.as_str(), duty.once(rooms).await);
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

fn report(metrics: &Metrics, what: &'static str, result: Result<(), Refusal>) {
    if let Err(refusal) = result {
        metrics.work_failed(what);
        tracing::warn!(
            work = what,
            reason = refusal.reason.as_str(),
            "background work failed; it is tried again"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_duty_that_panics_has_failed_and_comes_round_again() {
        let (metrics, stop, rounds) = (Metrics::default(), CancellationToken::new(), Cell::new(0));
        again_and_again(&metrics, "purge", Duration::from_millis(1), &stop, || async {
            rounds.set(rounds.get() + 1);
            assert_ne!(rounds.get(), 1, "the first one goes wrong");
            stop.cancel();
            Ok(())
        })
        .await;
        assert_eq!(rounds.get(), 2);
        let counted = metrics.render();
        let counted = counted.lines().find(|line| line.contains("work=\"purge\"")).expect("it is counted");
        assert!(counted.ends_with(" 1"), "{counted}");
    }
}
