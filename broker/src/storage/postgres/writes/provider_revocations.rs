//! Writes of the queue of revocations at the provider.

use super::Bound;
use crate::domain::{ConnectionId, Timestamp};

const QUEUE: &str = "\
INSERT INTO provider_revocations (connection, tenant, attempts, due_at)
SELECT id, tenant, 0, $2 FROM connections WHERE id = $1
ON CONFLICT (connection) DO UPDATE SET due_at = least(provider_revocations.due_at, excluded.due_at)";

/// Applies unless the connection is not there. Queued already, the earlier time counts: whoever ends a connection a second
/// time must not fail because the provider has not been told yet.
pub(super) fn queue(connection: &ConnectionId, due_at: Timestamp) -> Bound {
    sqlx::query(QUEUE).bind(connection.as_str()).bind(due_at.micros())
}

/// Applies if it is queued with no more attempts than these: a slow worker does not undo a faster one's count.
pub(super) fn reschedule(connection: &ConnectionId, attempts: i64, due_at: Timestamp) -> Bound {
    sqlx::query(
        "UPDATE provider_revocations SET attempts = $2, due_at = $3 WHERE connection = $1 AND attempts <= $2",
    )
    .bind(connection.as_str())
    .bind(attempts)
    .bind(due_at.micros())
}

/// Applies if it is queued.
pub(super) fn finish(connection: &ConnectionId) -> Bound {
    sqlx::query("DELETE FROM provider_revocations WHERE connection = $1").bind(connection.as_str())
}
