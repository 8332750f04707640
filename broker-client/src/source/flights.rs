//! One request at a time for each key, however many wait for it.

use super::key::Key;
use crate::Error;
use std::collections::HashMap;
use tokio::sync::watch;

pub(super) type Landing<T> = watch::Receiver<Option<Result<T, Error>>>;
pub(super) type Pilot<T> = watch::Sender<Option<Result<T, Error>>>;

pub(super) struct Flights<T> {
    next: u64,
    aloft: HashMap<Key, (u64, Landing<T>)>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { next: 0, aloft: HashMap::new() }
    }
}

impl<T> Flights<T> {
    /// The flight for this key. One that was lost (its task panicked, or its runtime ended) is none.
    pub(super) fn get(&self, key: &Key) -> Option<Landing<T>> {
        let (_, landing) = self.aloft.get(key)?;
        landing.has_changed().is_ok().then(|| landing.clone())
    }

    pub(super) fn start(&mut self, key: Key) -> (u64, Pilot<T>, Landing<T>) {
        let (pilot, landing) = watch::channel(None);
        self.next += 1;
        self.aloft.insert(key, (self.next, landing.clone()));
        (self.next, pilot, landing)
    }

    /// Whether this flight is still the one for its key; if so, the key is free again.
    pub(super) fn land(&mut self, key: &Key, number: u64) -> bool {
        let current = self.aloft.get(key).is_some_and(|(aloft, _)| *aloft == number);
        if current {
            self.aloft.remove(key);
        }
        current
    }

    /// Lets the flight end without its result being remembered; new callers start another.
    pub(super) fn disown(&mut self, key: &Key) {
        self.aloft.remove(key);
    }

    /// As [`disown`](Self::disown), for all.
    pub(super) fn disown_all(&mut self) {
        self.aloft.clear();
    }
}

/// Waits for a flight to land.
pub(super) async fn wait<T: Clone>(mut landing: Landing<T>) -> Result<T, Error> {
    match landing.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone().unwrap_or_else(|| Err(Error::lost())),
        Err(_) => Err(Error::lost()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GrantRequest;

    #[tokio::test]
    async fn a_lost_flight_is_an_error_for_its_passengers_and_no_obstacle_for_others() {
        let key = Key::of(&GrantRequest::new("a", "notes", ["s"]));
        let mut flights = Flights::<()>::default();
        let (_, pilot, landing) = flights.start(key);
        assert!(flights.get(&key).is_some());
        drop(pilot);
        assert_eq!(wait(landing).await.expect_err("lost").reason(), "INTERRUPTED");
        assert!(flights.get(&key).is_none());
    }
}
