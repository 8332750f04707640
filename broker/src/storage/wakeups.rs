//! Who waits for a consent is told when it changed, by whichever replica.

use crate::domain::ConsentId;

/// Tells waiters that a consent changed.
pub trait Wakeups: Send + Sync {
    /// A receiver of the ids of consents that changed from now on. A receiver that lags must read again.
    fn consents(&self) -> tokio::sync::broadcast::Receiver<ConsentId>;
}
