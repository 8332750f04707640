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
    worked: bool,
    /// When one failed last, on the monotonic clock.
    failed: Option<Duration>,
}

impl Weather {
    /// A commit worked or did not, at a reading of the monotonic clock.
    pub(super) fn seen(&self, worked: bool, now: Duration) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.worked = worked;
        if !worked {
            seen.failed = Some(now);
        }
    }

    /// Whether the last commit failed, a short while ago.
    pub(super) fn is_foul(&self, now: Duration) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !seen.worked && seen.failed.is_some_and(|at| now.saturating_sub(at) < REMEMBERED)
    }

    /// How long none has failed; `None` where none ever did.
    pub(super) fn fair_for(&self, now: Duration) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failed.map(|at| now.saturating_sub(at))
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
        assert_eq!(weather.fair_for(4 * second), Some(second));
        assert_eq!(Weather::default().fair_for(second), None);
    }
}
