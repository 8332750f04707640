//! Approvals: reads.

use super::{
    SqliteStore,
    error::unavailable,
    rows::{Cells, each},
};
use crate::{
    domain::{Approval, ApprovalId, ApprovedBy, ConnectionId, Tagged, TenantId, WorkloadId},
    storage::{Approvals, Readable, StoreError},
};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

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

fn approval(row: &SqliteRow) -> Result<Tagged<Approval>, StoreError> {
    let cells = Cells::new(row, "approvals");
    cells.tagged(Approval {
        id: cells.id("id", ApprovalId::parse)?,
        tenant: cells.id("tenant", TenantId::parse)?,
        connection: cells.id("connection", ConnectionId::parse)?,
        workload: cells.id("workload", WorkloadId::parse)?,
        scopes: cells.scopes("scopes")?,
        by: cells.word("approved_by", parse_by)?,
        default_account: cells.flag("default_account")?,
        withdrawn_at: cells.optional_time("withdrawn_at")?,
        version: cells.number("version")?,
        born_epoch: cells.number("born_epoch")?,
        created_at: cells.time("created_at")?,
    })
}

fn parse_by(text: &str) -> Option<ApprovedBy> {
    [ApprovedBy::User, ApprovedBy::Policy].into_iter().find(|by| by.as_str() == text)
}
