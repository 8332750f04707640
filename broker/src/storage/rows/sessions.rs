//! Web sessions, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{Tagged, WebSession},
    storage::StoreError,
};

pub(in crate::storage) fn session<R: Columns>(row: &R) -> Result<Tagged<WebSession>, StoreError> {
    let cells = Cells::new(row, "web_sessions");
    cells.tagged(WebSession {
        id_hash: cells.hash("id_hash")?,
        subject: cells.subject()?,
        label: cells.text("label")?,
        issuer: cells.text("issuer")?,
        sid: cells.text("sid")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        version: cells.number("version")?,
        ended: cells.flag("ended")?,
        last_seen_at: cells.time("last_seen_at")?,
    })
}
