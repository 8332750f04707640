//! Wrapped keys, read from rows.

use super::{Cells, Columns};
use crate::storage::{StoreError, WrappedKey};

pub(in crate::storage) fn key<R: Columns>(row: &R, table: &'static str) -> Result<WrappedKey, StoreError> {
    let cells = Cells::new(row, table);
    Ok(WrappedKey {
        id: cells.text("id")?,
        tenant: cells.text("tenant")?,
        subject: cells.text("subject")?,
        wrapped_by: cells.text("wrapped_by")?,
        wrapped: cells.blob("wrapped")?,
        created_at: cells.time("created_at")?,
    })
}

pub(in crate::storage) fn count<R: Columns>(row: &R) -> Result<(String, u64), StoreError> {
    let cells = Cells::new(row, "tenant_keys");
    Ok((cells.text("tenant")?, cells.count("keys")?))
}
