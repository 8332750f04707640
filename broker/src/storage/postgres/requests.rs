//! Request claims (GR5): taken inside a commit, one by one or many at once, and read here.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{RequestClaim, Timestamp},
    storage::{Requests, StoreError, rows::requests::claim},
};
use async_trait::async_trait;
use sqlx::{PgConnection, Row};
use std::collections::BTreeSet;

/// A claim that is over gives way to a new one under its key. In the order of the keys, so that no two batches wait for each other.
const TAKE: &str = "\
INSERT INTO requests
    (key, fingerprint, grant_id, connection, scope_key, generation, grant_expires_at, expires_at)
SELECT * FROM unnest($1::BYTEA[], $2::BYTEA[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::BIGINT[])
    AS wanted (key, fingerprint, grant_id, connection, scope_key, generation, grant_expires_at, expires_at)
ORDER BY key
ON CONFLICT (key) DO UPDATE SET
    fingerprint = excluded.fingerprint, grant_id = excluded.grant_id, connection = excluded.connection,
    scope_key = excluded.scope_key, generation = excluded.generation,
    grant_expires_at = excluded.grant_expires_at, expires_at = excluded.expires_at
WHERE requests.expires_at <= broker_clock()
RETURNING key";

const BY_KEY: &str = "\
SELECT key, fingerprint, grant_id, connection, scope_key, generation, grant_expires_at, expires_at
FROM requests WHERE key = $1 AND expires_at > (SELECT broker_clock())";

#[async_trait]
impl Requests for PostgresStore {
    async fn by_key(&self, key: &[u8; 32], _now: Timestamp) -> Result<Option<RequestClaim>, StoreError> {
        let query = sqlx::query(BY_KEY).bind(&key[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(claim).transpose()
    }
}

/// Takes claims in one statement; returns the keys it took. No key may be there twice.
pub(super) async fn take_all(
    connection: &mut PgConnection,
    wanted: &[&RequestClaim],
) -> Result<BTreeSet<[u8; 32]>, StoreError> {
    let rows = sqlx::query(TAKE)
        .bind(wanted.iter().map(|c| c.key.to_vec()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.fingerprint.to_vec()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.grant.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.connection.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.scope_key.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.generation).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.grant_expires_at.micros()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|c| c.expires_at.micros()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    let malformed = StoreError::Malformed { table: "requests", column: "key" };
    let keys = rows.iter().map(|row| row.try_get::<Vec<u8>, _>("key").ok()?.try_into().ok());
    keys.collect::<Option<_>>().ok_or(malformed)
}

/// Takes a claim; `Some` = the one that holds its key already.
pub(super) async fn take(
    connection: &mut PgConnection,
    wanted: &RequestClaim,
) -> Result<Option<RequestClaim>, StoreError> {
    if take_all(&mut *connection, &[wanted]).await?.contains(&wanted.key) {
        return Ok(None);
    }
    holder(connection, wanted).await.map(Some)
}

/// The claim that holds the key of one that could not be taken. Its row is locked by no one: should it run out this very moment, the
/// caller is told to come again.
pub(super) async fn holder(
    connection: &mut PgConnection,
    wanted: &RequestClaim,
) -> Result<RequestClaim, StoreError> {
    let query = sqlx::query(BY_KEY).bind(&wanted.key[..]);
    let row = query.fetch_one(connection).await.map_err(unavailable)?;
    claim(&row)
}
