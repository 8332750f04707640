//! One-time assertions that were used (ID12).

use super::{super::error::unavailable, Bound};
use crate::{domain::AssertionUse, storage::StoreError};
use sqlx::{PgConnection, Row};
use std::collections::BTreeSet;

/// In the order of their keys, so that no two batches wait for each other. Whoever meets a row that another replica has not committed
/// waits for it. One that is over keeps its key until it is swept: nobody who holds a valid assertion is asked to wait for that.
const MARK_USED: &str = "\
INSERT INTO used_assertions (key, expires_at)
SELECT key, expires_at FROM unnest($1::BYTEA[], $2::BIGINT[]) AS wanted (key, expires_at) ORDER BY key
ON CONFLICT (key) DO NOTHING
RETURNING key";

/// Applies to those that were not used before. No key may be there twice.
pub(super) fn mark_used(wanted: &[&AssertionUse]) -> Bound {
    sqlx::query(MARK_USED)
        .bind(wanted.iter().map(|used| used.key.to_vec()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|used| used.expires_at.micros()).collect::<Vec<_>>())
}

/// Uses many up in one statement; returns the keys of those that were not used before.
pub(in crate::storage::postgres) async fn use_all(
    connection: &mut PgConnection,
    wanted: &[&AssertionUse],
) -> Result<BTreeSet<[u8; 32]>, StoreError> {
    let rows = mark_used(wanted).fetch_all(connection).await.map_err(unavailable)?;
    let malformed = StoreError::Malformed { table: "used_assertions", column: "key" };
    let keys = rows.iter().map(|row| row.try_get::<Vec<u8>, _>("key").ok()?.try_into().ok());
    keys.collect::<Option<_>>().ok_or(malformed)
}
