//! PostgreSQL, version 14 or later: any number of replicas on one database.
//!
//! Works through a pooler in transaction mode that keeps prepared statements (pgbouncer 1.21 or later). Two connections must be
//! direct: that of `broker migrate`, which holds a session lock, and the one that listens for wake-ups.

mod approvals;
mod audit_log;
mod audit_rows;
mod claims;
mod commit;
mod connect;
mod connections;
mod consents;
mod endings;
mod error;
mod groups;
mod ledger;
mod listen;
pub mod migrate;
mod open;
mod parents;
mod patient;
mod pooler;
mod requests;
mod rewraps;
mod rules;
mod server;
mod sessions;
mod transaction;
mod wrapped_keys;
mod writes;

#[cfg(test)]
mod tests;

pub use open::OpenError;

use crate::{
    domain::ConsentId,
    storage::{PoolUse, Pools, StoreError, Wakeups, recently_used::RecentlyUsed},
};
use patient::PatientPool;
use std::sync::Arc;
use tokio::sync::{Mutex, broadcast};
use tokio_util::task::AbortOnDropHandle;

/// Changed consents a slow waiter may fall behind by before it must read again.
const WAKEUP_BACKLOG: usize = 1024;

/// Every storage trait on one PostgreSQL database.
pub struct PostgresStore {
    pool: PatientPool,
    /// Reading the log page by page; connections of its own, so that no long read takes those that issue.
    log_readers: PatientPool,
    /// One ledger commit of this process at a time: it has one stream, and whoever reads a head must not overtake a commit that is
    /// still under way.
    turn: Arc<Mutex<()>>,
    changed: broadcast::Sender<ConsentId>,
    recently_used: Arc<RecentlyUsed>,
    /// Marks this process's own wake-ups, so that they are not delivered twice.
    name: Arc<str>,
    _listener: Option<AbortOnDropHandle<()>>,
}

impl PostgresStore {
    /// Closes every connection once what runs is done.
    ///
    /// # Errors
    /// None; the same shape as SQLite's.
    pub async fn close(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.log_readers.plain.close().await;
        self.pool.plain.close().await;
        Ok(())
    }
}

impl Pools for PostgresStore {
    fn pools(&self) -> Vec<PoolUse> {
        vec![PoolUse::of("main", &self.pool.plain), PoolUse::of("log_readers", &self.log_readers.plain)]
    }
}

impl Wakeups for PostgresStore {
    fn consents(&self) -> broadcast::Receiver<ConsentId> {
        self.changed.subscribe()
    }
}
