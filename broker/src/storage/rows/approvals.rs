//! Approvals, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{Approval, ApprovalId, ApprovedBy, ConnectionId, Tagged, TenantId, WorkloadId},
    storage::StoreError,
};

pub(in crate::storage) fn approval<R: Columns>(row: &R) -> Result<Tagged<Approval>, StoreError> {
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
