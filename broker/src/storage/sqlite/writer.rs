//! The one connection that writes, and transactions on it that end even when nobody waits for them any more.

use super::error::unavailable;
use crate::storage::StoreError;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

type Slot = Option<SqliteConnection>;

/// Hands out the connection, one holder at a time, and opens it again after it broke.
#[derive(Clone)]
pub(super) struct Writer {
    slot: Arc<Mutex<Slot>>,
    options: Option<SqliteConnectOptions>,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        Self { slot: Arc::new(Mutex::new(Some(connection))), options: Some(options) }
    }

    /// For a store that was opened for reading only.
    pub(super) fn refusing() -> Self {
        Self { slot: Arc::new(Mutex::new(None)), options: None }
    }

    /// The connection, outside a transaction: for single statements, which are atomic by themselves.
    pub(super) async fn hold(&self) -> Result<Held, StoreError> {
        let mut slot = self.slot.clone().lock_owned().await;
        if slot.is_none() {
            let Some(options) = &self.options else {
                return Err(StoreError::Unavailable("it was opened for reading only".to_owned()));
            };
            *slot = Some(options.connect().await.map_err(unavailable)?);
        }
        Ok(Held(slot))
    }

    /// Closes the connection; a later holder would open it again.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match self.slot.lock().await.take() {
            Some(connection) => connection.close().await.map_err(unavailable),
            None => Ok(()),
        }
    }

    /// Begins a transaction that holds the write lock from the start.
    pub(super) async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        // Made before BEGIN runs: dropped while BEGIN is on its way, it still rolls back.
        let mut transaction = WriteTransaction { held: Some(self.hold().await?) };
        if let Err(error) = sqlx::query("BEGIN IMMEDIATE").execute(transaction.connection()?).await {
            transaction.rollback().await;
            return Err(unavailable(error));
        }
        Ok(transaction)
    }
}

/// The connection while it is held.
pub(super) struct Held(OwnedMutexGuard<Slot>);

impl Held {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.0.as_mut().ok_or_else(|| StoreError::Unavailable("the connection is closed".to_owned()))
    }

    /// Leaves no transaction behind. Where ROLLBACK fails (SQLite may have rolled back by itself on a full disk), the
    /// connection is closed, which rolls back too, and the next holder opens a new one.
    async fn clear(mut self) {
        let cleared = match self.0.as_mut() {
            Some(connection) => sqlx::query("ROLLBACK").execute(connection).await.is_ok(),
            None => true,
        };
        if !cleared {
            *self.0 = None;
        }
    }
}

/// A transaction on the writer. Dropped unfinished (a caller's timeout, a panic), it is rolled back by a task of its own
/// that keeps holding the connection: the next holder never finds itself inside it.
pub(super) struct WriteTransaction {
    held: Option<Held>,
}

impl WriteTransaction {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match &mut self.held {
            Some(held) => held.connection(),
            None => Err(StoreError::Unavailable("the transaction is over".to_owned())),
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        match sqlx::query("COMMIT").execute(self.connection()?).await {
            Ok(_) => {
                self.held = None;
                Ok(())
            }
            Err(error) => {
                self.rollback().await;
                Err(unavailable(error))
            }
        }
    }

    /// Rolls back and waits for it; goes on by itself when the caller no longer waits.
    pub(super) async fn rollback(mut self) {
        if let Some(held) = self.held.take() {
            // A task that failed has dropped the connection's guard; the next holder is told by its own statement.
            tokio::spawn(held.clear()).await.ok();
        }
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(held.clear());
            }
            Err(_) => *held.0 = None,
        }
    }
}
