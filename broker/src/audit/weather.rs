//! Whether commits work: what everybody who shares the database suffers from alike.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A failure longer ago than this says nothing about now.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How the last commits went.
pub(super) struct Weather(Mutex<Seen>);

struct Seen {
    /// When the last one failed, on the monotonic clock; `None` where it worked.
    failed: Option<Duration>,
    /// When nothing could be stored last. Of the time before it began a process knows nothing.
    out_of_reach: Duration,
}

impl Weather {
    /// Of a process that begins at this reading of the monotonic clock.
    pub(super) fn since(now: Duration) -> Self {
        Self(Mutex::new(Seen { failed: None, out_of_reach: now }))
    }

    /// A commit worked or did not, at a reading of the monotonic clock.
    pub(super) fn seen(&self, worked: bool, now: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed = (!worked).then_some(now);
    }

    /// The database could not be reached, or did not do what it was asked for.
    pub(super) fn out_of_reach(&self, now: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).out_of_reach = now;
    }

    /// Whether the last commit failed, a short while ago.
    pub(super) fn is_foul(&self, now: Duration) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failed.is_some_and(|at| now.saturating_sub(at) < REMEMBERED)
    }

    /// How long everything has been stored, as far as this process saw.
    pub(super) fn fair_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.0.lock().unwrap_or_else(PoisonError::into_inner).out_of_reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_counts_for_a_while() {
        let second = Duration::from_secs(1);
        let weather = Weather::since(second);
        assert!(!weather.is_foul(second), "nothing was tried");
        weather.seen(false, second);
        assert!(weather.is_foul(2 * second) && !weather.is_foul(12 * second));
        weather.seen(false, 3 * second);
        weather.seen(true, 4 * second);
        assert!(!weather.is_foul(4 * second));
        assert_eq!(weather.fair_for(4 * second), 3 * second, "it was reached, since it began");
        weather.out_of_reach(4 * second);
        weather.seen(true, 5 * second);
        assert_eq!(weather.fair_for(6 * second), 2 * second);
    }
}
