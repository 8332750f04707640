//! Web sessions: reads, sign of life, and the purge of what is over.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{Tagged, Timestamp, WebSession},
    storage::{Sessions, StoreError, rows::sessions::session},
};
use async_trait::async_trait;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! sessions {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "id_hash, tenant, realm, subject, label, issuer, sid, created_at, expires_at, version, ",
            "ended, last_seen_at, mac ",
            "FROM web_sessions ",
            $rest
        )
    };
}

#[async_trait]
impl Sessions for PostgresStore {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        let query = sqlx::query(sessions!("WHERE id_hash = $1")).bind(&id_hash[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(session).transpose()
    }

    async fn touch(&self, id_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE web_sessions SET last_seen_at = $2 WHERE id_hash = $1 AND last_seen_at < $2")
            .bind(&id_hash[..])
            .bind(now.micros())
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn purge(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let sessions = sqlx::query("DELETE FROM web_sessions WHERE expires_at <= (SELECT broker_clock()) OR ended = 1")
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        let requests = sqlx::query("DELETE FROM requests WHERE expires_at <= (SELECT broker_clock())")
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(sessions.rows_affected() + requests.rows_affected())
    }
}
