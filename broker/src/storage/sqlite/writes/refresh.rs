//! Writes of a connection's refresh state: the lease with its fencing epoch, and what is known of an attempt.

use super::Bound;
use crate::domain::{
    ConnectionId, Timestamp,
    ledger::{SettleLease, TakeLease},
};

const TAKE_LEASE: &str = "\
UPDATE connections SET lease_owner = ?1, lease_epoch = lease_epoch + 1, lease_until = ?2,
    attempts = CASE WHEN attempt_generation = ?6 THEN attempts + 1 ELSE 1 END, attempt_generation = ?6
WHERE id = ?3 AND lease_epoch = ?4 AND (lease_until IS NULL OR lease_until <= ?5)";

const SETTLE_LEASE: &str = "\
UPDATE connections SET lease_owner = '', lease_until = NULL, cooldown_until = ?1, last_error = ?2,
    attempt_generation = NULL, attempts = 0
WHERE id = ?3 AND lease_epoch = ?4 AND lease_owner = ?5 AND (?6 IS NULL OR ?6 =
    (SELECT generation FROM connection_secrets WHERE connection = ?3 AND kind = 'refresh' AND scope_key = ''))";

const SUPERSEDE_LEASE: &str = "\
UPDATE connections SET lease_owner = '', lease_until = NULL, cooldown_until = NULL, last_error = '',
    lease_epoch = lease_epoch + 1, attempt_generation = NULL, attempts = 0
WHERE id = ?1 AND lease_epoch = ?2 AND (lease_owner = ?3 OR lease_until IS NULL OR lease_until <= ?4)";

/// Applies if nobody holds the lease at `now` and nobody took it since its epoch was read.
pub(super) fn take_lease(taking: &TakeLease, now: Timestamp) -> Bound {
    sqlx::query(TAKE_LEASE)
        .bind(taking.owner.clone())
        .bind(now.plus(taking.holds).micros())
        .bind(taking.connection.as_str())
        .bind(taking.expected_epoch)
        .bind(now.micros())
        .bind(taking.sends)
}

/// Applies if the lease with this epoch is still the last one taken, and by its owner: who does not know whether it got one gives
/// back nobody else's.
pub(super) fn settle_lease(settling: &SettleLease, now: Timestamp) -> Bound {
    sqlx::query(SETTLE_LEASE)
        .bind(settling.rest.map(|rest| now.plus(rest).micros()))
        .bind(settling.last_error.clone())
        .bind(settling.connection.as_str())
        .bind(settling.epoch)
        .bind(settling.owner.clone())
        .bind(settling.while_stored)
}

/// Applies unless somebody else holds the lease, or took it since its epoch was read.
pub(super) fn supersede_lease(
    connection: &ConnectionId,
    owner: &str,
    expected_epoch: i64,
    now: Timestamp,
) -> Bound {
    sqlx::query(SUPERSEDE_LEASE).bind(connection.as_str()).bind(expected_epoch).bind(owner).bind(now.micros())
}
