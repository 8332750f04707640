//! Revocation rules: read as a gapless delta, appended with the next epoch.

use super::error::unavailable;
use crate::{
    domain::{Rule, Tagged},
    storage::{StoreError, rows::rules::newer_than},
};
use sqlx::{SqliteConnection, SqliteExecutor};

/// Every rule newer than `epoch`, in order.
pub(super) async fn since(
    executor: impl SqliteExecutor<'_>,
    epoch: i64,
) -> Result<Vec<Tagged<Rule>>, StoreError> {
    let rows = sqlx::query("SELECT * FROM revocations WHERE epoch >= ? ORDER BY epoch")
        .bind(epoch)
        .fetch_all(executor)
        .await
        .map_err(unavailable)?;
    newer_than(&rows, epoch)
}

/// Appends a rule. Its epoch must be the next one; a trigger refuses any other.
pub(super) async fn append(connection: &mut SqliteConnection, rule: &Tagged<Rule>) -> Result<(), StoreError> {
    let (rule, mac) = rule.stored_parts();
    let (tenant, realm) = rule.target.place();
    sqlx::query(
        "INSERT INTO revocations (epoch, kind, target_kind, target_name, target_tenant, target_realm, at, mac) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(rule.epoch)
    .bind(rule.kind.as_str())
    .bind(rule.target.kind())
    .bind(rule.target.name())
    .bind(tenant)
    .bind(realm)
    .bind(rule.at.micros())
    .bind(mac.to_bytes())
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}
