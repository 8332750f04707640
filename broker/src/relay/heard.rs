//! Waiting for a word about one thing.

use super::Changed;
use std::future::pending;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What was heard since this was made.
pub struct Heard(Option<Receiver<Changed>>);

impl Heard {
    #[cfg(feature = "redis")]
    pub(super) fn of(receiver: Receiver<Changed>) -> Self {
        Self(Some(receiver))
    }

    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// Returns once `what` may have changed; never where there is nobody to say so.
    pub async fn about(&mut self, what: &Changed) {
        loop {
            let heard = match &mut self.0 {
                Some(receiver) => receiver.recv().await,
                None => pending().await,
            };
            match heard {
                Ok(changed) if changed == *what || changed == Changed::Anything => return,
                Ok(_) => {}
                // More was said than is remembered.
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => self.0 = None,
            }
        }
    }
}
