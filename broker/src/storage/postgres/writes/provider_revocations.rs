//! Writes of the queue of revocations at the provider.

use super::Bound;
use crate::domain::{QuarantinedRow, Timestamp, TokenHolder};

const QUEUE_CONNECTION: &str = "\
INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
SELECT id, tenant, 0, $2 FROM connections WHERE id = $1
ON CONFLICT (holder) DO UPDATE SET due_at = least(provider_revocations.due_at, excluded.due_at)";

const QUEUE_CONSENT: &str = "\
INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
SELECT id, tenant, 0, $2 FROM consents WHERE id = $1
ON CONFLICT (holder) DO UPDATE SET due_at = least(provider_revocations.due_at, excluded.due_at)";

/// Applies unless the holder is not there. Queued already, the earlier time counts: whoever ends a connection a second
/// time must not fail because the provider has not been told yet.
pub(super) fn queue(holder: &TokenHolder, due_at: Timestamp) -> Bound {
    let sql = match holder {
        TokenHolder::Connection(_) => QUEUE_CONNECTION,
        TokenHolder::Consent(_) => QUEUE_CONSENT,
    };
    sqlx::query(sql).bind(holder.as_str().to_owned()).bind(due_at.micros())
}

/// Applies if it is queued with no more attempts than these: a slow worker does not undo a faster one's count.
pub(super) fn reschedule(holder: &TokenHolder, attempts: i64, due_at: Timestamp) -> Bound {
    sqlx::query(
        "UPDATE provider_revocations SET attempts = $2, due_at = $3 WHERE holder = $1 AND attempts <= $2",
    )
    .bind(holder.as_str().to_owned())
    .bind(attempts)
    .bind(due_at.micros())
}

/// Applies if it is queued.
pub(super) fn finish(holder: &TokenHolder) -> Bound {
    sqlx::query("DELETE FROM provider_revocations WHERE holder = $1").bind(holder.as_str().to_owned())
}

/// Whatever stands in it: it is named by its holder alone.
pub(super) fn remove(row: &QuarantinedRow) -> Bound {
    // PostgreSQL holds no text that is not UTF-8: nothing else was read from it.
    let holder = String::from_utf8_lossy(&row.id).into_owned();
    sqlx::query("DELETE FROM provider_revocations WHERE holder = $1").bind(holder)
}
