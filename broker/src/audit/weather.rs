//! Whether commits work: what everybody who shares the database suffers from alike.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A failure longer ago than this says nothing about now.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How the last commits went.
#[derive(Default)]
pub(super) struct Weather(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// When the last one failed, on the monotonic clock; `None` where it worked.
    failed: Option<Duration>,
    /// When the database could not be reached last.
    out_of_reach: Option<Duration>,
}

impl Weather {
    /// A commit worked or did not, at a reading of the monotonic clock.
    pub(super) fn seen(&self, worked: bool, now: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed = (!worked).then_some(now);
    }

    /// What was sent did not reach the database, or no answer came from there.
    pub(super) fn out_of_reach(&self, now: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).out_of_reach = Some(now);
    }

    /// Whether the last commit failed, a short while ago.
    pub(super) fn is_foul(&self, now: Duration) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failed.is_some_and(|at| now.saturating_sub(at) < REMEMBERED)
    }

    /// How long the database has been in reach; `None` where it always was.
    pub(super) fn fair_for(&self, now: Duration) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.out_of_reach.map(|at| now.saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_counts_for_a_while() {
        let (weather, second) = (Weather::default(), Duration::from_secs(1));
        assert!(!weather.is_foul(second), "nothing was tried");
        weather.seen(false, second);
        assert!(weather.is_foul(2 * second) && !weather.is_foul(12 * second));
        weather.seen(false, 3 * second);
        weather.seen(true, 4 * second);
        assert!(!weather.is_foul(4 * second));
        assert_eq!(weather.fair_for(4 * second), None, "it was reached");
        weather.out_of_reach(4 * second);
        weather.seen(true, 5 * second);
        assert_eq!(weather.fair_for(6 * second), Some(2 * second));
    }
}
