//! How this broker is: whether this process works, and whether what all replicas share does (AV7).
//!
//! Readiness is about this process alone. A database that is down is down for every replica: taking them all out of service would
//! turn "try again" into "nobody is there", and keep them from coming back the moment it does. So it is told as health, and in the
//! metrics, and by typed refusals. Liveness asks for nothing at all.

use crate::usecase::Rooms;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long the database may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// How this broker is.
pub struct Health {
    rooms: Arc<Rooms>,
    stopping: CancellationToken,
    database: AtomicBool,
}

impl Health {
    /// Of a broker that begins to serve.
    pub fn of(rooms: Arc<Rooms>) -> Self {
        Self { rooms, stopping: CancellationToken::new(), database: AtomicBool::new(true) }
    }

    /// It is to take nothing new: readiness fails from now on.
    pub fn stop(&self) {
        self.stopping.cancel();
        self.rooms.metrics.health("ready", false);
    }

    /// Returns once it is told to stop.
    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Whether this process takes calls.
    ///
    /// # Errors
    /// Why not, in a few words.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.stopping.is_cancelled() {
            Err("stopping")
        } else if !self.rooms.audit.is_open() {
            Err("the audit writer ended")
        } else {
            Ok(())
        }
    }

    /// Whether the database answered when it was last looked at, and takes commits as far as is known.
    pub fn database(&self) -> bool {
        self.database.load(Ordering::Relaxed)
    }

    /// Looks how the database is.
    pub async fn look(&self) {
        let rooms = &self.rooms;
        let newest = rooms.audit.rules().epoch();
        let answer = tokio::time::timeout(PATIENCE, rooms.store.ledger.rules_since(newest)).await;
        let works = matches!(answer, Ok(Ok(_))) && rooms.audit.is_writing();
        if self.database.swap(works, Ordering::Relaxed) != works {
            if works {
                tracing::info!("the database works again");
            } else {
                tracing::error!(
                    "the database does not work; calls are answered as unavailable until it does"
                );
            }
        }
        rooms.metrics.health("database", works);
        rooms.metrics.health("ready", self.ready().is_ok());
    }
}
