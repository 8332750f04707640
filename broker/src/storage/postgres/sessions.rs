//! Web sessions: reads, sign of life, and the purge of what is over.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{LoggedOut, LogoutNames, Tagged, Timestamp, WebSession},
    storage::{
        Sessions, StoreError,
        rows::{Cells, sessions::session},
    },
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

/// $2 = '': whoever it belongs to.
const BY_SID: &str = "\
SELECT id_hash FROM web_sessions
WHERE tenant = $3 AND realm = $4 AND issuer = $5 AND sid = $1 AND ended = 0 AND ($2 = '' OR subject = $2)";
/// $2 is not used: both statements are bound alike.
const BY_SUBJECT: &str = "\
SELECT id_hash FROM web_sessions
WHERE tenant = $3 AND realm = $4 AND issuer = $5 AND subject = $1 AND ended = 0 AND $2 = ''";

/// Rows that one statement of a sweep removes at most; the number stands in each.
const SWEPT_AT_ONCE: u64 = 1000;
/// Each by its index, which `LIMIT` makes certain: how much is over is not known when the server plans.
const SWEEPS: [&str; 5] = [
    "DELETE FROM web_sessions WHERE id_hash = ANY (ARRAY(
        SELECT id_hash FROM web_sessions WHERE expires_at <= (SELECT broker_clock()) ORDER BY expires_at LIMIT 1000))",
    "DELETE FROM web_sessions WHERE id_hash = ANY (ARRAY(
        SELECT id_hash FROM web_sessions WHERE ended = 1 ORDER BY id_hash LIMIT 1000))",
    "DELETE FROM requests WHERE key = ANY (ARRAY(
        SELECT key FROM requests WHERE expires_at <= (SELECT broker_clock()) ORDER BY expires_at LIMIT 1000))",
    "DELETE FROM used_assertions WHERE key = ANY (ARRAY(
        SELECT key FROM used_assertions WHERE expires_at <= (SELECT broker_clock()) ORDER BY expires_at LIMIT 1000))",
    // A few rows, gone within minutes.
    "DELETE FROM logouts WHERE expires_at <= (SELECT broker_clock())",
];

#[async_trait]
impl Sessions for PostgresStore {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        let query = sqlx::query(sessions!("WHERE id_hash = $1")).bind(&id_hash[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
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
        let rows = query.fetch_all(&self.pool).await.map_err(unavailable)?;
        // A key that is no SHA-256 is no cookie's: there is nothing to end behind it, and it keeps nobody else's.
        Ok(rows.iter().filter_map(|row| Cells::new(row, "web_sessions").hash("id_hash").ok()).collect())
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
        let mut purged = 0;
        for sweep in SWEEPS {
            loop {
                let swept =
                    sqlx::query(sweep).execute(&self.pool).await.map_err(unavailable)?.rows_affected();
                purged += swept;
                if swept < SWEPT_AT_ONCE {
                    break;
                }
            }
        }
        Ok(purged)
    }
}
