//! The machine's clock, a while ahead: certified peers live in real time, and a test cannot wait an hour for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use broker::domain::{Clock, SystemClock, Timestamp};

use crate::postgres::PgDatabase;

/// Runs with the machine's clock; a test moves it forward.
#[derive(Default)]
pub struct ShiftedClock {
    machine: SystemClock,
    ahead: Mutex<Duration>,
    database: Mutex<Option<PgDatabase>>,
}

impl ShiftedClock {
    /// Moves both readings forward, and the clock of a database that is led ([`Self::lead`]).
    pub fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
        if let Some(database) = &*self.database.lock().unwrap_or_else(PoisonError::into_inner) {
            database.advance(by);
        }
    }

    /// From now on a database's running clock goes along.
    pub fn lead(&self, database: PgDatabase) {
        *self.database.lock().unwrap_or_else(PoisonError::into_inner) = Some(database);
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
