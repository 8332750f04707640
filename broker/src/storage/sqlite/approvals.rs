//! Approvals: reads.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{Approval, ConnectionId, Tagged, TenantId, WorkloadId},
    storage::{
        Approvals, Readable, StoreError,
        rows::{approvals::approval, each},
    },
};
use async_trait::async_trait;

#[async_trait]
impl Approvals for SqliteStore {
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError> {
        let row = sqlx::query("SELECT * FROM approvals WHERE tenant = ? AND connection = ? AND workload = ?")
            .bind(tenant.as_str())
            .bind(connection.as_str())
            .bind(workload.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(|row| each(row, approval)).transpose()
    }

    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM approvals WHERE tenant = ? AND connection = ? ORDER BY workload")
                .bind(tenant.as_str())
                .bind(connection.as_str())
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
        rows.iter().map(|row| each(row, approval)).collect()
    }
}
