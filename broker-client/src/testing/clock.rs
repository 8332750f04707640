//! Time that moves when told to.

use crate::Clock;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// When every test begins, in seconds since the Unix epoch: 15 January 2027, 8:00 UTC.
const OPENING: u64 = 1_800_000_000;

/// A clock that stands still until [`advance`](Self::advance). Whoever sleeps on it moves it and does not wait. Clones are one
/// clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(OPENING) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.advance(delay);
        Box::pin(std::future::ready(()))
    }
}
