//! Writes of parent pages.

use super::Bound;
use crate::domain::{ParentPage, Tagged};

const INSERT: &str = "\
INSERT INTO parent_pages
    (created_at, expires_at, version, mismatches, mac, id, tenant, realm, subject, workload, consents, handle_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING";

// Whom, who and for what are in the condition and not in the assignment: they never change.
const UPDATE: &str = "\
UPDATE parent_pages SET created_at = $1, expires_at = $2, version = $3, mismatches = $4, mac = $5
WHERE id = $6 AND tenant = $7 AND realm = $8 AND subject = $9 AND workload = $10 AND consents = $11
  AND version = $12";

/// Applies unless the id or handle exists.
pub(super) fn insert(row: &Tagged<ParentPage>, handle_hash: &[u8; 32]) -> Bound {
    bind(INSERT, row).bind(handle_hash.to_vec())
}

/// Applies if the page still has `expected_version`.
pub(super) fn update(row: &Tagged<ParentPage>, expected_version: i64) -> Bound {
    bind(UPDATE, row).bind(expected_version)
}

fn bind(sql: &'static str, row: &Tagged<ParentPage>) -> Bound {
    let (parent, mac) = row.stored_parts();
    sqlx::query(sql)
        .bind(parent.created_at.micros())
        .bind(parent.expires_at.micros())
        .bind(parent.version)
        .bind(parent.mismatches)
        .bind(mac.to_bytes())
        .bind(parent.id.as_str().to_owned())
        .bind(parent.subject.tenant.as_str().to_owned())
        .bind(parent.subject.realm.as_str().to_owned())
        .bind(parent.subject.id.as_str().to_owned())
        .bind(parent.workload.as_str().to_owned())
        .bind(parent.consents_text())
}
