//! Revocation rules: read as a gapless delta, appended with the next epoch.

use super::error::unavailable;
use crate::{
    domain::{Rule, Tagged},
    storage::{StoreError, rows::rules::newer_than},
};
use sqlx::{PgConnection, PgExecutor};

const SINCE: &str = "\
SELECT epoch, kind, target_kind, target_name, target_tenant, target_realm, at, mac
FROM revocations WHERE epoch >= $1 ORDER BY epoch";

const APPEND: &str = "\
INSERT INTO revocations (epoch, kind, target_kind, target_name, target_tenant, target_realm, at, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Every rule newer than `epoch`, in order.
pub(super) async fn since(
    executor: impl PgExecutor<'_>,
    epoch: i64,
) -> Result<Vec<Tagged<Rule>>, StoreError> {
    let rows = sqlx::query(SINCE).bind(epoch).fetch_all(executor).await.map_err(unavailable)?;
    newer_than(&rows, epoch)
}

/// Appends a rule. Its epoch must be the next one; a trigger refuses any other.
pub(super) async fn append(connection: &mut PgConnection, rule: &Tagged<Rule>) -> Result<(), StoreError> {
    let (rule, mac) = rule.stored_parts();
    let (tenant, realm) = rule.target.place();
    sqlx::query(APPEND)
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
