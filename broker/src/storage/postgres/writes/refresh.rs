//! Writes of a connection's refresh state: the lease with its fencing epoch.

use super::Bound;
use crate::domain::{ConnectionId, Timestamp};

const TAKE_LEASE: &str = "\
UPDATE connections SET lease_owner = $1, lease_epoch = lease_epoch + 1, lease_until = (SELECT broker_clock()) + $2
WHERE id = $3 AND lease_epoch = $4 AND (lease_until IS NULL OR lease_until <= (SELECT broker_clock()))";

const SETTLE_LEASE: &str = "\
UPDATE connections SET lease_owner = '', lease_until = NULL, cooldown_until = $1, last_error = $2
WHERE id = $3 AND lease_epoch = $4 AND lease_owner = $5";

/// Applies if nobody holds the lease and nobody took it since `expected_epoch` was read. How long it holds, `until - now`, counts on
/// the database's clock: a replica whose own clock is off holds a lease no longer and no shorter than another.
pub(super) fn take_lease(
    connection: &ConnectionId,
    owner: &str,
    expected_epoch: i64,
    until: Timestamp,
    now: Timestamp,
) -> Bound {
    sqlx::query(TAKE_LEASE)
        .bind(owner)
        .bind(until.micros().saturating_sub(now.micros()))
        .bind(connection.as_str())
        .bind(expected_epoch)
}

/// Applies if the lease with `epoch` is still the last one taken, and by `owner`: who does not know whether it got one gives back
/// nobody else's.
pub(super) fn settle_lease(
    connection: &ConnectionId,
    owner: &str,
    epoch: i64,
    cooldown_until: Option<Timestamp>,
    last_error: &str,
) -> Bound {
    sqlx::query(SETTLE_LEASE)
        .bind(cooldown_until.map(Timestamp::micros))
        .bind(last_error)
        .bind(connection.as_str())
        .bind(epoch)
        .bind(owner)
}
