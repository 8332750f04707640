//! The machine's clock, a while ahead: certified peers live in real time, and a test cannot wait an hour for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use broker::domain::{Clock, SystemClock, Timestamp};

/// Runs with the machine's clock; a test moves it forward.
#[derive(Default)]
pub struct ShiftedClock {
    machine: SystemClock,
    ahead: Mutex<Duration>,
}

impl ShiftedClock {
    /// Moves both readings forward.
    pub fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        self.machine.now().plus(self.ahead())
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic() + self.ahead()
    }
}
