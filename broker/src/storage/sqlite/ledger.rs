//! The ledger on SQLite: commits, streams, rules.

use super::{
    SqliteStore, commit,
    error::{is_duplicate, unavailable},
    rules,
    writes::streams,
};
use crate::{
    domain::{Group, Rule, Tagged, Timestamp, ledger::Head},
    storage::{Committed, Ledger, LockMode, Seal, StoreError, StreamRow, rows::audit::stream},
};
use async_trait::async_trait;
use std::time::Duration;

const OPEN_STREAM: &str = "\
INSERT INTO audit_streams (stream, seq, hash, mac, open, opened_at, heartbeat_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM audit_streams WHERE stream = ?1)";

#[async_trait]
impl Ledger for SqliteStore {
    // BEGIN IMMEDIATE lets one writer in at a time, so both lock modes are the strongest one.
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        _lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        commit::commit(self, head, known_epoch, batch, now, seal).await
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        let mut held = self.writer.hold().await?;
        let done = sqlx::query(OPEN_STREAM)
            .bind(stream.head.stream.as_str())
            .bind(stream.head.seq)
            .bind(&stream.head.hash[..])
            .bind(&stream.mac[..])
            .bind(stream.open)
            .bind(stream.opened_at.micros())
            .bind(stream.heartbeat_at.micros())
            .execute(held.connection()?)
            .await;
        match done {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(StoreError::Exists),
            Err(error) if is_duplicate(&error) => Err(StoreError::Exists),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn heartbeat(&self) -> Option<Duration> {
        None
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        let mut held = self.writer.hold().await?;
        let done = streams::end(head, mac).execute(held.connection()?).await.map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM audit_streams ORDER BY stream");
        // The lock on the file lets one process serve. Whoever writes beside it knows nothing of who lives.
        let silent_for = if self.lock.is_some() { Duration::MAX } else { Duration::ZERO };
        let rows = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        rows.iter().map(|row| stream(row, silent_for)).collect()
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        rules::since(&self.readers, epoch).await
    }
}
