//! One-time assertions that were used (ID12).

use super::Bound;
use crate::domain::AssertionUse;

/// One that is over keeps its key until it is swept: nobody who holds a valid assertion is asked to wait for that.
const MARK_USED: &str = "\
INSERT INTO used_assertions (key, expires_at) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";

/// Applies unless it was used before.
pub(super) fn mark_used(used: &AssertionUse) -> Bound {
    sqlx::query(MARK_USED).bind(used.key.to_vec()).bind(used.expires_at.micros())
}
