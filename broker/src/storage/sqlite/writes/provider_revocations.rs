//! Writes of the queue of revocations at the provider.

use super::Bound;
use crate::domain::{ConnectionId, QuarantinedRow, Timestamp, TokenHolder};

const QUEUE_CONNECTION: &str = "\
INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
SELECT id, tenant, 0, ?2 FROM connections WHERE id = ?1
ON CONFLICT (holder) DO UPDATE SET due_at = min(due_at, excluded.due_at)";

const QUEUE_CONSENT: &str = "\
INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
SELECT id, tenant, 0, ?2 FROM consents WHERE id = ?1
ON CONFLICT (holder) DO UPDATE SET due_at = min(due_at, excluded.due_at)";

// The queue is short; the consents are not.
const HASTEN: &str = "\
UPDATE provider_revocations SET due_at = ?2
WHERE due_at > ?2 AND EXISTS (
    SELECT 1 FROM consents WHERE id = holder AND state = 'completed' AND result_connection = ?1)";

const QUEUE_IF_REVOKED: &str = "\
INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
SELECT id, tenant, 0, ?2 FROM connections WHERE id = ?1 AND state = 'revoked'
ON CONFLICT (holder) DO UPDATE SET due_at = min(due_at, excluded.due_at),
    attempts = min(attempts, 1000000) + 2";

/// Tokens that came after the revoke: whoever tells the provider of the ones before is at most one attempt further than what
/// the queue says, and finds that two were counted meanwhile. The bound keeps the sum of an edited row within its type.
pub(super) fn queue_if_revoked(connection: &ConnectionId, due_at: Timestamp) -> Bound {
    sqlx::query(QUEUE_IF_REVOKED).bind(connection.as_str().to_owned()).bind(due_at.micros())
}

/// Applies unless the holder is not there. Queued already, the earlier time counts: whoever ends a connection a second
/// time must not fail because the provider has not been told yet.
pub(super) fn queue(holder: &TokenHolder, due_at: Timestamp) -> Bound {
    let sql = match holder {
        TokenHolder::Connection(_) => QUEUE_CONNECTION,
        TokenHolder::Consent(_) => QUEUE_CONSENT,
    };
    sqlx::query(sql).bind(holder.as_str().to_owned()).bind(due_at.micros())
}

/// What consents left behind that became this connection is due now, where it was not yet.
pub(super) fn hasten(connection: &ConnectionId, due_at: Timestamp) -> Bound {
    sqlx::query(HASTEN).bind(connection.as_str().to_owned()).bind(due_at.micros())
}

/// Applies if it is queued with no more attempts than these: a slow worker does not undo a faster one's count.
pub(super) fn reschedule(holder: &TokenHolder, attempts: i64, due_at: Timestamp) -> Bound {
    sqlx::query(
        "UPDATE provider_revocations SET attempts = ?2, due_at = ?3 WHERE holder = ?1 AND attempts <= ?2",
    )
    .bind(holder.as_str().to_owned())
    .bind(attempts)
    .bind(due_at.micros())
}

/// Applies if it is queued with no more attempts than these: what was queued anew meanwhile is not done.
pub(super) fn finish(holder: &TokenHolder, attempts: i64) -> Bound {
    sqlx::query("DELETE FROM provider_revocations WHERE holder = ?1 AND attempts <= ?2")
        .bind(holder.as_str().to_owned())
        .bind(attempts)
}

/// Whatever stands in it: it is named by its holder alone, which may be no text.
pub(super) fn remove(row: &QuarantinedRow) -> Bound {
    sqlx::query("DELETE FROM provider_revocations WHERE holder = CAST(? AS TEXT)").bind(row.id.clone())
}
