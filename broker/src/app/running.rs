//! A broker that serves, and how it ends.

use crate::{audit::Deadline, transport::health::Health, usecase::Rooms};
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a probe or scrape under way may take at the very end.
const OPS_GOODBYE: Duration = Duration::from_secs(1);

/// A running broker.
pub struct Running {
    pub(super) rooms: Arc<Rooms>,
    pub(super) health: Arc<Health>,
    pub(super) drain_delay: Duration,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// The operations listener's: it tells of the drain until that is over.
    pub(super) last: CancellationToken,
    pub(super) operations: TaskTracker,
}

impl Running {
    /// Everything below transport, for tests and the command line.
    pub fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// Says that it is not ready any more, and after the configured delay stops accepting, finishes what runs for at most `grace`,
    /// and closes the audit stream (AV5). The operations listener ends last.
    pub async fn stop(self, grace: Duration) {
        self.health.stop();
        if !self.drain_delay.is_zero() {
            tokio::time::sleep(self.drain_delay).await;
        }
        self.stop.cancel();
        self.tasks.close();
        let both = async {
            self.tasks.wait().await;
            // Refreshes and code exchanges outlive their callers; losing one would cost a connection (RF3).
            self.rooms.detached.close();
            self.rooms.detached.wait().await;
        };
        if tokio::time::timeout(grace, both).await.is_err() {
            tracing::warn!("some calls did not finish in time and were cut off");
        }
        if self.rooms.audit.close(Deadline::none()).await.is_err() {
            tracing::error!("the audit stream could not be closed; the next start recovers it");
        }
        self.last.cancel();
        self.operations.close();
        let _ = tokio::time::timeout(OPS_GOODBYE, self.operations.wait()).await;
    }
}
