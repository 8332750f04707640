//! Approvals: reads.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{Approval, ConnectionId, Tagged, TenantId, WorkloadId},
    storage::{
        Approvals, Readable, StoreError,
        rows::{approvals::approval, each},
    },
};
use async_trait::async_trait;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! approvals {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "id, tenant, connection, workload, scopes, approved_by, default_account, withdrawn_at, ",
            "version, born_epoch, created_at, mac ",
            "FROM approvals ",
            $rest
        )
    };
}

#[async_trait]
impl Approvals for PostgresStore {
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError> {
        let row = sqlx::query(approvals!("WHERE tenant = $1 AND connection = $2 AND workload = $3"))
            .bind(tenant.as_str())
            .bind(connection.as_str())
            .bind(workload.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(|row| each(row, approval)).transpose()
    }

    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError> {
        let rows = sqlx::query(approvals!("WHERE tenant = $1 AND connection = $2 ORDER BY workload"))
            .bind(tenant.as_str())
            .bind(connection.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, approval)).collect()
    }
}
