//! The ledger's transactions: one at a time in this process, ended even when nobody waits for them any more.

use super::{
    PostgresStore,
    error::{is_lock_timeout, is_lost, unavailable},
};
use crate::storage::{LockMode, StoreError};
use sqlx::{PgConnection, Postgres, pool::PoolConnection};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// One message to the server, several statements: each takes its own snapshot, so what follows sees what was committed before the
/// lock was free. `synchronous_commit` = on waits for the local disk, and for synchronous standbys where there are any.
pub(super) const BEGIN_SHARED: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on;
SET LOCAL statement_timeout = '4s';
SET LOCAL lock_timeout = '2s';
SET LOCAL idle_in_transaction_session_timeout = '2s';
SELECT pg_advisory_xact_lock_shared(7233108, 4)";

/// The short lock timeout: whoever waits for the exclusive lock keeps every newcomer waiting for the shared one.
const BEGIN_EXCLUSIVE: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on;
SET LOCAL statement_timeout = '4s';
SET LOCAL lock_timeout = '250ms';
SET LOCAL idle_in_transaction_session_timeout = '2s';
SELECT pg_advisory_xact_lock(7233108, 4);
SET LOCAL lock_timeout = '2s'";

/// How often the exclusive lock is tried. Together with the pauses it is more than the time after which the server ends the session
/// of a holder that stands still, and less than the audit writer's patience.
const EXCLUSIVE_TRIES: u32 = 9;
/// In between others get their shared lock.
const EXCLUSIVE_PAUSE: Duration = Duration::from_millis(100);
/// How many connections in a row may turn out to be lost, after a failover for example.
const LOST_CONNECTIONS: u32 = 5;
/// How long a rollback may take before the connection is thrown away.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection of the pool and this process's turn.
struct Held {
    connection: PoolConnection<Postgres>,
    _turn: OwnedMutexGuard<()>,
}

impl Held {
    /// Leaves no transaction behind: rolls back, or else closes the connection, at which the server rolls back.
    async fn clear(mut self) {
        let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut *self.connection);
        let cleared = matches!(tokio::time::timeout(ROLLBACK_TIMEOUT, rollback).await, Ok(Ok(_)));
        if !cleared {
            drop(self.connection.detach());
        }
    }
}

/// A transaction that holds the ledger's lock. Dropped unfinished (a caller's timeout, a panic), it is rolled back by a task of its own
/// that keeps the turn until then.
pub(super) struct Transaction {
    held: Option<Held>,
}

impl Transaction {
    /// Waits for this process's turn and for the lock.
    pub(super) async fn begin(store: &PostgresStore, lock: LockMode) -> Result<Self, StoreError> {
        let mut turn = store.turn.clone().lock_owned().await;
        for left in (0..LOST_CONNECTIONS).rev() {
            let connection = store.pool.acquire().await.map_err(unavailable)?;
            // Made before BEGIN runs: dropped while BEGIN is on its way, it still rolls back.
            let mut transaction = Self { held: Some(Held { connection, _turn: turn }) };
            match transaction.lock(lock).await {
                Ok(()) => return Ok(transaction),
                // Nothing was asked of it yet: another connection may still be good.
                Err(error) if left > 0 && is_lost(&error) => match transaction.held.take() {
                    Some(held) => {
                        drop(held.connection.detach());
                        turn = held._turn;
                    }
                    None => return Err(unavailable(error)),
                },
                Err(error) => {
                    transaction.rollback().await;
                    return Err(unavailable(error));
                }
            }
        }
        Err(StoreError::Unavailable("every connection was lost".to_owned()))
    }

    async fn lock(&mut self, lock: LockMode) -> Result<(), sqlx::Error> {
        let Some(held) = &mut self.held else { return Err(sqlx::Error::PoolClosed) };
        let (begin, tries) = match lock {
            LockMode::Shared => (BEGIN_SHARED, 1),
            LockMode::Exclusive => (BEGIN_EXCLUSIVE, EXCLUSIVE_TRIES),
        };
        for left in (0..tries).rev() {
            match sqlx::raw_sql(begin).execute(&mut *held.connection).await {
                Ok(_) => break,
                Err(error) if left > 0 && is_lock_timeout(&error) => {
                    sqlx::raw_sql("ROLLBACK").execute(&mut *held.connection).await?;
                    tokio::time::sleep(EXCLUSIVE_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        match &mut self.held {
            Some(held) => Ok(&mut held.connection),
            None => Err(StoreError::Unavailable("the transaction is over".to_owned())),
        }
    }

    /// An error leaves open whether it was committed: the head tells.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        match sqlx::raw_sql("COMMIT").execute(self.connection()?).await {
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
            // A task that failed has dropped the connection, which ends the transaction.
            tokio::spawn(held.clear()).await.ok();
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(held.clear());
            }
            Err(_) => drop(held.connection.detach()),
        }
    }
}
