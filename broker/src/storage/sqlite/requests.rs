//! Request claims (GR5): taken inside a commit, read here.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{RequestClaim, Timestamp},
    storage::{Requests, StoreError, rows::requests::claim},
};
use async_trait::async_trait;
use sqlx::SqliteConnection;

/// A claim that is over gives way to a new one under its key.
const TAKE: &str = "\
INSERT INTO requests
    (key, fingerprint, grant_id, connection, scope_key, generation, grant_expires_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (key) DO UPDATE SET
    fingerprint = excluded.fingerprint, grant_id = excluded.grant_id, connection = excluded.connection,
    scope_key = excluded.scope_key, generation = excluded.generation,
    grant_expires_at = excluded.grant_expires_at, expires_at = excluded.expires_at
WHERE requests.expires_at <= ?9";

const BY_KEY: &str = "SELECT * FROM requests WHERE key = ? AND expires_at > ?";

#[async_trait]
impl Requests for SqliteStore {
    async fn by_key(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<RequestClaim>, StoreError> {
        let query = sqlx::query(BY_KEY).bind(&key[..]).bind(now.micros());
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(claim).transpose()
    }
}

/// Takes a claim; `Some` = the one that holds its key already.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    wanted: &RequestClaim,
    now: Timestamp,
) -> Result<Option<RequestClaim>, StoreError> {
    let taken = sqlx::query(TAKE)
        .bind(&wanted.key[..])
        .bind(&wanted.fingerprint[..])
        .bind(wanted.grant.as_str())
        .bind(wanted.connection.as_str())
        .bind(wanted.scope_key.as_str())
        .bind(wanted.generation)
        .bind(wanted.grant_expires_at.micros())
        .bind(wanted.expires_at.micros())
        .bind(now.micros())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let query = sqlx::query(BY_KEY).bind(&wanted.key[..]).bind(now.micros());
    let row = query.fetch_one(connection).await.map_err(unavailable)?;
    claim(&row).map(Some)
}
