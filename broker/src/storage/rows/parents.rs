//! Parent pages, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{ParentId, ParentPage, Tagged, WorkloadId},
    storage::StoreError,
};

pub(in crate::storage) fn parent<R: Columns>(row: &R) -> Result<Tagged<ParentPage>, StoreError> {
    let cells = Cells::new(row, "parent_pages");
    cells.tagged(ParentPage {
        id: cells.id("id", ParentId::parse)?,
        subject: cells.subject()?,
        workload: cells.id("workload", WorkloadId::parse)?,
        consents: cells.word("consents", ParentPage::parse_consents)?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        version: cells.number("version")?,
        mismatches: cells.number("mismatches")?,
    })
}
