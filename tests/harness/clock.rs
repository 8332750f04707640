//! A clock that runs like the machine's and can be put ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::domain::{Clock, SystemClock, Timestamp};

/// Real time plus what was skipped: for tests whose first half runs in a process of its own.
#[derive(Default)]
pub struct SkippingClock {
    system: SystemClock,
    skipped_micros: AtomicU64,
}

impl SkippingClock {
    /// Puts both readings ahead.
    pub fn skip(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).expect("a time span of tests");
        self.skipped_micros.fetch_add(micros, Ordering::SeqCst);
    }

    fn skipped(&self) -> Duration {
        Duration::from_micros(self.skipped_micros.load(Ordering::SeqCst))
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        self.system.now().plus(self.skipped())
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + self.skipped()
    }
}
