//! Request claims, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{ConnectionId, EventId, RequestClaim},
    storage::StoreError,
};

pub(in crate::storage) fn claim<R: Columns>(row: &R) -> Result<RequestClaim, StoreError> {
    let cells = Cells::new(row, "requests");
    Ok(RequestClaim {
        key: cells.hash("key")?,
        fingerprint: cells.hash("fingerprint")?,
        grant: cells.id("grant_id", EventId::parse)?,
        connection: cells.id("connection", ConnectionId::parse)?,
        scope_key: cells.text("scope_key")?,
        generation: cells.number("generation")?,
        grant_expires_at: cells.time("grant_expires_at")?,
        expires_at: cells.time("expires_at")?,
    })
}
