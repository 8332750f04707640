//! Until when a caller waits.

use crate::domain::Clock;
use std::time::Duration;

/// A reading of [`Clock::monotonic`] after which the caller is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deadline(Option<Duration>);

impl Deadline {
    /// How long a caller without a deadline waits.
    pub const DEFAULT: Duration = Duration::from_secs(10);

    /// A reading of the monotonic clock.
    pub fn at(monotonic: Duration) -> Self {
        Self(Some(monotonic))
    }

    /// `wait` from now on.
    pub fn after(clock: &dyn Clock, wait: Duration) -> Self {
        Self(Some(clock.monotonic().saturating_add(wait)))
    }

    /// The caller named none: [`Self::DEFAULT`] from when it asks.
    pub fn none() -> Self {
        Self(None)
    }

    /// How long is left on `clock`.
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.resolve(clock).saturating_sub(clock.monotonic())
    }

    /// The reading it stands for if asked now.
    pub(super) fn resolve(self, clock: &dyn Clock) -> Duration {
        self.0.unwrap_or_else(|| clock.monotonic().saturating_add(Self::DEFAULT))
    }
}
