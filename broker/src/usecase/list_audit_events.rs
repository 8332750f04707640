//! Reading the audit log is itself recorded: once when opened, then once per N pages (AU15).

use super::{Actor, Rooms};
use crate::{
    domain::{Entry, EventKind, Outcome, Position, Refusal},
    storage::{AuditFilter, AuditRow},
};

/// Pages after which a long query is recorded again.
pub const PAGES_PER_EVENT: u32 = 100;

/// A page of events and whether there are more. `page` counts from 0.
///
/// # Errors
/// The store's; the audit log's, if the query cannot be recorded.
pub async fn list_audit_events(
    rooms: &Rooms,
    actor: &Actor,
    filter: &AuditFilter,
    after: Option<&Position>,
    page: u32,
    limit: u32,
) -> Result<(Vec<AuditRow>, bool), Refusal> {
    if page.is_multiple_of(PAGES_PER_EVENT) {
        let mut draft = actor.draft(rooms, EventKind::AuditQueried, Outcome::Allowed);
        draft.detail.insert("filter", describe(filter));
        draft.detail.insert("page", page.into());
        rooms.audit.note(Entry::note(draft), actor.call().deadline).await?;
    }
    let mut rows = rooms.store.audit_log.list(filter, after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok((rows, more))
}

fn describe(filter: &AuditFilter) -> serde_json::Value {
    serde_json::json!({
        "from": filter.from.map(|t| t.rfc3339()),
        "until": filter.until.map(|t| t.rfc3339()),
        "tenant": filter.tenant,
        "subject": filter.subject,
        "workload": filter.workload,
        "provider": filter.provider,
        "outcome": filter.outcome,
    })
}
