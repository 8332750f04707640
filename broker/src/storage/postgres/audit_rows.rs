//! Writing audit rows and heads.

use super::error::{is_duplicate, unavailable};
use crate::{
    domain::{ConnectionId, ledger::Head},
    storage::{AuditRow, StoreError, ending::Ending, recently_used::LAST_USED_EXACT_TO},
};
use sqlx::PgConnection;

/// Head, marks and rows in one statement: rows come only where the head moved from where its writer left it. A busy connection's mark
/// is not waited for: who locked the row is about to mark it, or changes more than that.
const APPEND: &str = "\
WITH moved AS (
    UPDATE audit_streams SET seq = $1, hash = $2, mac = $3, heartbeat_at = greatest(heartbeat_at, broker_clock())
    WHERE stream = $4 AND seq = $5 AND hash = $6 AND open = 1
    RETURNING 1
), idle AS (
    SELECT id FROM connections
    WHERE id = ANY ($7) AND (last_used_at IS NULL OR last_used_at <= (SELECT broker_clock()) - $8)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
    UPDATE connections SET last_used_at = (SELECT broker_clock()) WHERE id IN (SELECT id FROM idle)
    RETURNING 1
)
INSERT INTO audit_events
    (stream, seq, previous_hash, hash, mac_key, mac, body,
     id, time, tenant, subject, workload, provider, kind, outcome, reason)
SELECT $4, rows.* FROM unnest(
    $9::BIGINT[], $10::BYTEA[], $11::BYTEA[], $12::TEXT[], $13::BYTEA[], $14::BYTEA[],
    $15::TEXT[], $16::BIGINT[], $17::TEXT[], $18::TEXT[], $19::TEXT[], $20::TEXT[], $21::TEXT[], $22::TEXT[], $23::TEXT[]
) AS rows
WHERE EXISTS (SELECT 1 FROM moved)";

const BEAT: &str = "\
UPDATE audit_streams SET heartbeat_at = greatest(heartbeat_at, broker_clock())
WHERE stream = $1 AND seq = $2 AND hash = $3 AND open = 1";

/// Moves the head from where it was to `to` by compare-and-set, and writes the rows in between; `Exists` when the stream has an
/// event with one of their ids, so that its group fails alone.
pub(super) async fn append(
    connection: &mut PgConnection,
    ending: &Ending,
    to: &Head,
) -> Result<(), StoreError> {
    fn all<'r, T>(rows: &'r [AuditRow], of: impl Fn(&'r AuditRow) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let rows = ending.rows.as_slice();
    let done = sqlx::query(APPEND)
        .bind(to.seq)
        .bind(&to.hash[..])
        .bind(&ending.mac[..])
        .bind(ending.from.stream.as_str())
        .bind(ending.from.seq)
        .bind(&ending.from.hash[..])
        .bind(ending.used.iter().map(ConnectionId::as_str).collect::<Vec<_>>())
        .bind(i64::try_from(LAST_USED_EXACT_TO.as_micros()).unwrap_or(i64::MAX))
        .bind(all(rows, |r| r.seq))
        .bind(all(rows, |r| &r.previous_hash[..]))
        .bind(all(rows, |r| &r.hash[..]))
        .bind(all(rows, |r| r.mac_key.as_str()))
        .bind(all(rows, |r| &r.mac[..]))
        .bind(all(rows, |r| &r.body[..]))
        .bind(all(rows, |r| r.columns.id.as_str()))
        .bind(all(rows, |r| r.columns.time.micros()))
        .bind(all(rows, |r| r.columns.tenant.as_str()))
        .bind(all(rows, |r| r.columns.subject.as_str()))
        .bind(all(rows, |r| r.columns.workload.as_str()))
        .bind(all(rows, |r| r.columns.provider.as_str()))
        .bind(all(rows, |r| r.columns.kind.as_str()))
        .bind(all(rows, |r| r.columns.outcome.as_str()))
        .bind(all(rows, |r| r.columns.reason.as_str()))
        .execute(connection)
        .await
        .map_err(|error| if is_duplicate(&error) { StoreError::Exists } else { unavailable(error) })?;
    if done.rows_affected() == rows.len() as u64 { Ok(()) } else { Err(StoreError::HeadMoved) }
}

/// A sign of life without an event.
pub(super) async fn beat(connection: &mut PgConnection, head: &Head) -> Result<(), StoreError> {
    let done = sqlx::query(BEAT)
        .bind(head.stream.as_str())
        .bind(head.seq)
        .bind(&head.hash[..])
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::HeadMoved) }
}
