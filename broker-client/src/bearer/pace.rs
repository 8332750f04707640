//! How many tokens that nobody has vouched for yet are shown to the broker.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One each, once the burst is used up: 50 a second, a quarter of what the broker grants a workload's credential.
const INTERVAL: Duration = Duration::from_millis(20);
/// How many may come at once.
const BURST: u32 = 100;

/// A bucket of [`BURST`] that fills by one each [`INTERVAL`], kept as the time at which it is full again.
#[derive(Debug, Default)]
pub(super) struct Pace {
    full_at: Mutex<Duration>,
}

impl Pace {
    /// Takes one out.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub(super) fn take(&self, now: Duration) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*full_at).max(now).saturating_add(INTERVAL);
        let wait = after.saturating_sub(now).saturating_sub(INTERVAL * BURST);
        if !wait.is_zero() {
            return Err(wait);
        }
        *full_at = after;
        Ok(())
    }
}
