//! The conformance suite on SQLite, and what is SQLite's alone: the file, its lock, its migrations, a full disk.

mod file;

mod migrations;
mod plans;
mod sealed;
mod unavailable;

use super::SqliteStore;
use crate::storage::conformance::{Fixture, Sql, conformance, samples};
use async_trait::async_trait;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::Path, sync::Arc};

pub(crate) async fn fixture() -> Fixture {
    open_fixture().await.0
}

/// The fixture and the store behind its traits.
async fn open_fixture() -> (Fixture, Arc<SqliteStore>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("broker.db");
    let store = Arc::new(SqliteStore::open(&path, samples::NOW).await.unwrap());
    let fixture = Fixture {
        connections: store.clone(),
        endings: store.clone(),
        approvals: store.clone(),
        consents: store.clone(),
        parents: store.clone(),
        sessions: store.clone(),
        requests: store.clone(),
        wrapped_keys: store.clone(),
        rewraps: store.clone(),
        ledger: store.clone(),
        audit_log: store.clone(),
        wakeups: store.clone(),
        sql: Arc::new(Shell(tokio::sync::Mutex::new(shell(&path).await))),
        home,
    };
    (fixture, store)
}

/// A connection of its own, as an operator's `sqlite3` would have.
async fn shell(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

struct Shell(tokio::sync::Mutex<SqliteConnection>);

#[async_trait]
impl Sql for Shell {
    async fn run(&self, statement: &'static str) -> Result<u64, String> {
        let mut connection = self.0.lock().await;
        let done = sqlx::query(statement).execute(&mut *connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
    }
}

conformance!(fixture);
