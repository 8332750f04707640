//! Web sessions: reads, sign of life, and the purge of what is over.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{Tagged, Timestamp, WebSession},
    storage::{Sessions, StoreError, rows::sessions::session},
};
use async_trait::async_trait;

#[async_trait]
impl Sessions for SqliteStore {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        let query = sqlx::query("SELECT * FROM web_sessions WHERE id_hash = ?").bind(&id_hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(session).transpose()
    }

    async fn touch(&self, id_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        let mut held = self.writer.hold().await?;
        sqlx::query("UPDATE web_sessions SET last_seen_at = ?2 WHERE id_hash = ?1 AND last_seen_at < ?2")
            .bind(&id_hash[..])
            .bind(now.micros())
            .execute(held.connection()?)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut held = self.writer.hold().await?;
        let sessions = sqlx::query("DELETE FROM web_sessions WHERE expires_at <= ? OR ended = 1")
            .bind(now.micros())
            .execute(held.connection()?)
            .await
            .map_err(unavailable)?;
        let requests = sqlx::query("DELETE FROM requests WHERE expires_at <= ?")
            .bind(now.micros())
            .execute(held.connection()?)
            .await
            .map_err(unavailable)?;
        Ok(sessions.rows_affected() + requests.rows_affected())
    }
}
