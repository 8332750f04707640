//! Web sessions: reads, sign of life, and the purge of what is over.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{LoggedOut, LogoutNames, Tagged, Timestamp, WebSession},
    storage::{
        Sessions, StoreError,
        rows::{Cells, sessions::session},
    },
};
use async_trait::async_trait;

/// ?2 = '': whoever it belongs to.
const BY_SID: &str = "SELECT id_hash FROM web_sessions
WHERE tenant = ?3 AND realm = ?4 AND issuer = ?5 AND sid = ?1 AND ended = 0 AND (?2 = '' OR subject = ?2)";
/// ?2 is not used: both statements are bound alike.
const BY_SUBJECT: &str = "SELECT id_hash FROM web_sessions
WHERE tenant = ?3 AND realm = ?4 AND issuer = ?5 AND subject = ?1 AND ended = 0 AND ?2 = ''";

/// Each goes by an index. Two for sessions: for either of two reasons SQLite would look at every row.
pub(super) const SWEEPS: [&str; 5] = [
    "DELETE FROM web_sessions WHERE expires_at <= ?",
    "DELETE FROM web_sessions WHERE ended = 1",
    "DELETE FROM requests WHERE expires_at <= ?",
    "DELETE FROM logouts WHERE expires_at <= ?",
    "DELETE FROM used_assertions WHERE expires_at <= ?",
];

#[async_trait]
impl Sessions for SqliteStore {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        let query = sqlx::query("SELECT * FROM web_sessions WHERE id_hash = ?").bind(&id_hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(session).transpose()
    }

    async fn named(&self, names: &LogoutNames) -> Result<Vec<[u8; 32]>, StoreError> {
        let query = match &names.who {
            LoggedOut::Session { sid, subject } => {
                sqlx::query(BY_SID).bind(sid).bind(subject.as_deref().unwrap_or_default())
            }
            LoggedOut::Person { subject } => sqlx::query(BY_SUBJECT).bind(subject).bind(""),
        };
        let query = query.bind(names.tenant.as_str()).bind(names.realm.as_str()).bind(names.issuer.as_str());
        let rows = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        // A key that is no SHA-256 is no cookie's: there is nothing to end behind it, and it keeps nobody else's.
        Ok(rows.iter().filter_map(|row| Cells::new(row, "web_sessions").hash("id_hash").ok()).collect())
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
        let mut purged = 0;
        for sweep in SWEEPS {
            let query = sqlx::query(sweep);
            let query = if sweep.contains('?') { query.bind(now.micros()) } else { query };
            purged += query.execute(held.connection()?).await.map_err(unavailable)?.rows_affected();
        }
        Ok(purged)
    }
}
