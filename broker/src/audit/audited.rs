//! Proof that something was recorded. Made by [`super`] after its commit, and nowhere else.

use crate::domain::{EventId, Position};
use std::time::Duration;

/// A permit whose event is committed. Neither `Clone` nor `Copy`: opening consumes it.
#[must_use = "a recorded permit is void after 5 seconds"]
pub struct Audited<T> {
    permit: T,
    event: EventId,
    position: Position,
    committed_at: Duration,
}

impl<T> Audited<T> {
    /// `committed_at` is the monotonic clock's reading right after the commit.
    pub(super) fn new(permit: T, event: EventId, position: Position, committed_at: Duration) -> Self {
        Self { permit, event, position, committed_at }
    }

    /// What was recorded.
    pub fn permit(&self) -> &T {
        &self.permit
    }

    /// The event that recorded it.
    pub fn event(&self) -> &EventId {
        &self.event
    }

    /// Where the event stands in the log.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The monotonic clock's reading right after the commit.
    pub fn committed_at(&self) -> Duration {
        self.committed_at
    }

    /// Takes it apart; the proof is spent.
    pub fn into_parts(self) -> (T, EventId, Position) {
        (self.permit, self.event, self.position)
    }
}

#[cfg(test)]
impl<T> Audited<T> {
    /// For the vault's own tests.
    pub(crate) fn for_test(permit: T, event: EventId, position: Position, committed_at: Duration) -> Self {
        Self::new(permit, event, position, committed_at)
    }
}
