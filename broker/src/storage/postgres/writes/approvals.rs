//! Writes of approvals.

use super::Bound;
use crate::domain::{Approval, Tagged, Timestamp};

const INSERT: &str = "\
INSERT INTO approvals
    (id, scopes, approved_by, default_account, withdrawn_at, version, born_epoch, created_at, mac,
     tenant, connection, workload)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
WHERE EXISTS (SELECT 1 FROM connections WHERE tenant = $10 AND id = $11)
ON CONFLICT DO NOTHING";

const REPLACE: &str = "\
UPDATE approvals SET
    id = $1, scopes = $2, approved_by = $3, default_account = $4, withdrawn_at = $5, version = $6,
    born_epoch = $7, created_at = $8, mac = $9
WHERE tenant = $10 AND connection = $11 AND workload = $12 AND version = $13";

/// Applies unless the (tenant, connection, workload) has one, withdrawn or not, or the connection is not there.
pub(super) fn insert(row: &Tagged<Approval>) -> Bound {
    bind(INSERT, row)
}

/// Applies if the one there still has `expected_version`. Another approval's id is a refusal ([`super::may_collide`]).
pub(super) fn replace(row: &Tagged<Approval>, expected_version: i64) -> Bound {
    bind(REPLACE, row).bind(expected_version)
}

fn bind(sql: &'static str, row: &Tagged<Approval>) -> Bound {
    let (approval, mac) = row.stored_parts();
    sqlx::query(sql)
        .bind(approval.id.as_str())
        .bind(approval.scopes.canonical())
        .bind(approval.by.as_str())
        .bind(i64::from(approval.default_account))
        .bind(approval.withdrawn_at.map(Timestamp::micros))
        .bind(approval.version)
        .bind(approval.born_epoch)
        .bind(approval.created_at.micros())
        .bind(mac.to_bytes())
        .bind(approval.tenant.as_str())
        .bind(approval.connection.as_str())
        .bind(approval.workload.as_str())
}
