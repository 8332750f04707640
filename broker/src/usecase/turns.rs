//! Turns at something that costs, in the order of arrival: nobody is refused for what others sent, and nobody waits for ever.

use crate::domain::{Reason, Refusal, Share};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// When to come again where too many wait already.
pub(super) const LATER: Duration = Duration::from_millis(100);

/// So many at once, and so many more who wait.
pub struct Turns {
    turns: Semaphore,
    places: Semaphore,
}

/// A turn until it is dropped.
pub struct Turn<'t> {
    _share: Option<Share>,
    _turn: SemaphorePermit<'t>,
    _place: SemaphorePermit<'t>,
}

impl Turn<'_> {
    /// Keeps this as long as the turn lasts.
    pub(super) fn with(self, share: Share) -> Self {
        Self { _share: Some(share), ..self }
    }
}

impl Turns {
    /// `at_once`, at least one, and as many as `waiting` behind them.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        let places = at_once.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Self { turns: Semaphore::new(at_once), places: Semaphore::new(places) }
    }

    /// Waits for a turn, at most `left`.
    ///
    /// # Errors
    /// [`Reason::Overloaded`]: as many wait as may, or the turn did not come in time.
    pub async fn take(&self, left: Duration) -> Result<Turn<'_>, Refusal> {
        let late = || Refusal::new(Reason::Overloaded).retry_after(LATER);
        let place = self.places.try_acquire().map_err(|_| late())?;
        // The semaphore is fair: whoever came first is served first.
        let turn = tokio::time::timeout(left.min(PATIENCE), self.turns.acquire()).await;
        Ok(Turn { _share: None, _turn: turn.map_err(|_| late())?.map_err(|_| late())?, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, poll};
    use std::pin::pin;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn turns_come_in_order_and_those_without_a_place_are_told_so_at_once() {
        let turns = Turns::new(1, 2);
        let held = turns.take(LONG).await.unwrap_or_else(|_| panic!("free"));
        let (mut first, mut second) = (pin!(turns.take(LONG)), pin!(turns.take(LONG)));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        let refused = turns.take(LONG).now_or_never().and_then(Result::err).unwrap();
        assert_eq!((refused.reason, refused.retry_after), (Reason::Overloaded, Some(LATER)));
        drop(held);
        assert!(poll!(&mut second).is_pending(), "the first one is first");
        let served = first.await;
        assert!(served.is_ok() && poll!(&mut second).is_pending());
        assert!(turns.take(LONG).now_or_never().is_none(), "its place is free again");
        drop(served);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_callers_time() {
        let turns = Turns::new(1, 2);
        let _held = turns.take(LONG).await.unwrap_or_else(|_| panic!("free"));
        let refused = turns.take(Duration::from_millis(1)).await.err().unwrap();
        assert_eq!(refused.reason, Reason::Overloaded);
    }
}
