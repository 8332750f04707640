//! Writes of tenant keys: the further ones, which an operator orders. A tenant's first is made outside the ledger, on first use.

use super::Bound;
use crate::domain::WrappedKey;

const INSERT: &str = "\
INSERT INTO tenant_keys (id, tenant, wrapped_by, wrapped, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

/// Applies unless a key of that id exists.
pub(super) fn insert(key: &WrappedKey) -> Bound {
    sqlx::query(INSERT)
        .bind(key.id.clone())
        .bind(key.tenant.clone())
        .bind(key.wrapped_by.clone())
        .bind(key.wrapped.clone())
        .bind(key.created_at.micros())
}
