//! SQLite: the embedded default. One process, one file, WAL, every commit on disk.

mod approvals;
mod audit_log;
mod audit_rows;
mod commit;
mod connections;
mod consents;
mod endings;
mod error;
mod groups;
mod ledger;
pub mod migrate;
mod open;
mod parents;
mod requests;
mod rewraps;
mod rules;
mod sessions;
mod wrapped_keys;
mod writer;
mod writes;

#[cfg(test)]
pub(super) mod tests;

pub use migrate::{AppliedMigration, Migration, SchemaError};
pub use open::{OpenError, migrate_file};

use crate::{
    domain::ConsentId,
    storage::{PoolUse, Pools, StoreError, Wakeups, recently_used::RecentlyUsed},
};
use sqlx::SqlitePool;
use std::{fs::File, sync::Arc};
use tokio::sync::broadcast;
use writer::Writer;

/// Changed consents a slow waiter may fall behind by before it must read again.
const WAKEUP_BACKLOG: usize = 1024;

/// Every storage trait on one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    /// Connections of their own: a long look through the log takes none from what answers callers.
    log_readers: SqlitePool,
    changed: broadcast::Sender<ConsentId>,
    recently_used: Arc<RecentlyUsed>,
    /// Held for as long as this process serves the file; the system releases it when the process ends, however it ends.
    lock: Option<File>,
}

impl SqliteStore {
    fn assemble(writer: Writer, readers: [SqlitePool; 2], lock: Option<File>) -> Self {
        let [readers, log_readers] = readers;
        Self {
            writer,
            readers,
            log_readers,
            changed: broadcast::Sender::new(WAKEUP_BACKLOG),
            recently_used: Arc::default(),
            lock,
        }
    }

    /// Closes every connection once what runs is done, and folds the write-ahead log into the file. Without it nothing is
    /// lost: the next opening reads the log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.log_readers.close().await;
        self.writer.close().await
    }
}

/// The one connection that writes is no pool: what waits for it waits in the audit writer's queue.
impl Pools for SqliteStore {
    fn pools(&self) -> Vec<PoolUse> {
        vec![PoolUse::of("main", &self.readers), PoolUse::of("log_readers", &self.log_readers)]
    }
}

impl Wakeups for SqliteStore {
    fn consents(&self) -> broadcast::Receiver<ConsentId> {
        self.changed.subscribe()
    }
}
