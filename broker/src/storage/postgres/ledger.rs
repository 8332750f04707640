//! The ledger on PostgreSQL: commits, streams, rules.

use super::{
    PostgresStore, commit,
    error::{is_duplicate, unavailable},
    rules, writes,
};
use crate::{
    domain::{Group, Rule, Tagged, Timestamp, ledger::Head},
    storage::{
        Committed, Ledger, LockMode, Seal, StoreError, StreamRow,
        rows::{Cells, audit::stream},
    },
};
use async_trait::async_trait;
use sqlx::postgres::PgRow;
use std::time::Duration;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! streams {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "stream, seq, hash, mac, open, opened_at, heartbeat_at, ",
            "greatest(broker_clock() - heartbeat_at, 0) AS silent_for ",
            "FROM audit_streams ",
            $rest
        )
    };
}

const OPEN_STREAM: &str = "\
INSERT INTO audit_streams (stream, seq, hash, mac, open, opened_at, heartbeat_at)
SELECT $1, $2, $3, $4, $5, $6, broker_clock() WHERE NOT EXISTS (SELECT 1 FROM audit_streams WHERE stream = $1)";

/// How often a writer shows that it lives. The audit room calls a stream dead after several of these.
const HEARTBEAT: Duration = Duration::from_secs(5);

#[async_trait]
impl Ledger for PostgresStore {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        commit::commit(self, head, known_epoch, batch, lock, now, seal).await
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        let done = sqlx::query(OPEN_STREAM)
            .bind(stream.head.stream.as_str())
            .bind(stream.head.seq)
            .bind(&stream.head.hash[..])
            .bind(&stream.mac[..])
            .bind(i64::from(stream.open))
            .bind(stream.opened_at.micros())
            .execute(&self.pool)
            .await;
        match done {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(StoreError::Exists),
            Err(error) if is_duplicate(&error) => Err(StoreError::Exists),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn heartbeat(&self) -> Option<Duration> {
        Some(HEARTBEAT)
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        let done = writes::end_stream(head, mac).execute(&self.pool).await.map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }

    // After whatever commit this store still has under way: a caller that gave up waiting for one reads here what became of it.
    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        let _turn = self.turn.lock().await;
        let query = sqlx::query(streams!("ORDER BY stream"));
        query.fetch_all(&self.pool).await.map_err(unavailable)?.iter().map(silent).collect()
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        rules::since(&self.pool, epoch).await
    }
}

/// With how long its writer has been silent on the database's clock.
fn silent(row: &PgRow) -> Result<StreamRow, StoreError> {
    let micros = Cells::new(row, "audit_streams").number("silent_for")?;
    stream(row, Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}
