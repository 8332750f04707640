//! Single flight: per connection, one refresh at a time in this process (RF1, RF12).

use crate::domain::ConnectionId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OwnedMutexGuard;

type Turn = tokio::sync::Mutex<()>;

/// One turn per connection. Turns nobody waits for are dropped.
#[derive(Default)]
pub(super) struct Flights {
    turns: Mutex<HashMap<ConnectionId, Weak<Turn>>>,
}

impl Flights {
    /// Waits until nobody else in this process refreshes `connection`.
    pub(super) async fn turn(&self, connection: &ConnectionId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(turn) = turns.get(connection).and_then(Weak::upgrade) {
                turn
            } else {
                turns.retain(|_, turn| turn.strong_count() > 0);
                let turn = Arc::new(Turn::new(()));
                turns.insert(connection.clone(), Arc::downgrade(&turn));
                turn
            }
        };
        turn.lock_owned().await
    }
}
