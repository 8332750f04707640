//! Audit events and streams, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{EventId, StreamId, ledger::Head},
    storage::{AuditColumns, AuditRow, StoreError, StreamRow},
};
use std::time::Duration;

pub(in crate::storage) fn audit_row<R: Columns>(row: &R) -> Result<AuditRow, StoreError> {
    let cells = Cells::new(row, "audit_events");
    Ok(AuditRow {
        stream: cells.id("stream", StreamId::parse)?,
        seq: cells.number("seq")?,
        previous_hash: cells.hash("previous_hash")?,
        hash: cells.hash("hash")?,
        mac_key: cells.text("mac_key")?,
        mac: cells.hash("mac")?,
        body: cells.blob("body")?,
        columns: AuditColumns {
            id: cells.id("id", EventId::parse)?,
            time: cells.time("time")?,
            tenant: cells.text("tenant")?,
            subject: cells.text("subject")?,
            workload: cells.text("workload")?,
            provider: cells.text("provider")?,
            kind: cells.text("kind")?,
            outcome: cells.text("outcome")?,
            reason: cells.text("reason")?,
        },
    })
}

pub(in crate::storage) fn stream<R: Columns>(row: &R, silent_for: Duration) -> Result<StreamRow, StoreError> {
    let cells = Cells::new(row, "audit_streams");
    Ok(StreamRow {
        head: Head {
            stream: cells.id("stream", StreamId::parse)?,
            seq: cells.number("seq")?,
            hash: cells.hash("hash")?,
        },
        mac: cells.blob("mac")?,
        open: cells.flag("open")?,
        opened_at: cells.time("opened_at")?,
        heartbeat_at: cells.time("heartbeat_at")?,
        silent_for,
    })
}
