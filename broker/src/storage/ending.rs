//! What a commit writes last, made from what became of its groups. The same in every dialect.

use super::{AuditRow, Committed, Seal, StoreError, recently_used::RecentlyUsed, rule_window::RuleWindow};
use crate::domain::{
    Applied, ConnectionId, ConsentId, Entry, EventKind, Group, Outcome, Position, Timestamp, Write,
    ledger::Head,
};
use std::collections::BTreeSet;

/// What is still to be written once every effect is in. Owns all it needs, so that it runs to its end by itself.
pub(super) struct Ending {
    pub(super) from: Head,
    pub(super) rows: Vec<AuditRow>,
    pub(super) mac: Vec<u8>,
    /// Connections a grant was issued from, but for those marked a moment ago.
    pub(super) used: BTreeSet<ConnectionId>,
    pub(super) changed: Vec<ConsentId>,
    pub(super) now: Timestamp,
}

/// Makes the rows and the head, and says where every entry stands.
///
/// # Errors
/// [`StoreError::Malformed`] when the rows do not follow the head one by one.
pub(super) fn seal_batch(
    head: &Head,
    batch: &[Group],
    applied: Vec<Vec<Applied>>,
    window: RuleWindow,
    recently: &RecentlyUsed,
    now: Timestamp,
    seal: &dyn Seal,
) -> Result<(Committed, Ending), StoreError> {
    let rows = if applied.iter().all(Vec::is_empty) { Vec::new() } else { seal.rows(head, batch, &applied) };
    let positions = positions(head, batch, &rows)?;
    let (new_head, mac) = if rows.is_empty() { (head.clone(), Vec::new()) } else { seal.head(&rows) };
    let done =
        || entries(batch).zip(applied.iter().flatten()).filter(|(_, a)| **a == Applied::Yes).map(|(e, _)| e);
    let ending = Ending {
        from: head.clone(),
        rows,
        mac,
        used: recently.due(done().filter_map(used), now),
        changed: done().flat_map(|entry| &entry.effect).filter_map(changed).collect(),
        now,
    };
    Ok((Committed { applied, positions, head: new_head, new_rules: window.into_new() }, ending))
}

/// Where every entry stands. One row per entry, numbered without a gap after the head, or nothing is written.
fn positions(head: &Head, batch: &[Group], rows: &[AuditRow]) -> Result<Vec<Vec<Position>>, StoreError> {
    let numbered =
        rows.iter().zip(head.seq + 1..).all(|(row, seq)| row.seq == seq && row.stream == head.stream);
    if !numbered || rows.len() != entries(batch).count() {
        return Err(StoreError::Malformed { table: "audit_events", column: "seq" });
    }
    let mut numbers = head.seq + 1..;
    let position = |seq| Position { stream: head.stream.clone(), seq };
    Ok(batch.iter().map(|group| numbers.by_ref().take(group.entries.len()).map(position).collect()).collect())
}

fn entries(batch: &[Group]) -> impl Iterator<Item = &Entry> {
    batch.iter().flat_map(|group| &group.entries)
}

/// The connection a grant was issued from.
fn used(entry: &Entry) -> Option<&ConnectionId> {
    let issued = entry.draft.kind == EventKind::GrantIssue && entry.draft.outcome == Outcome::Allowed;
    entry.draft.connection.as_ref().filter(|_| issued)
}

fn changed(write: &Write) -> Option<ConsentId> {
    match write {
        Write::InsertConsent { row, .. } | Write::UpdateConsent { row, .. } => {
            Some(row.stored_parts().0.id.clone())
        }
        Write::SetAsideConsent(row) => row.id(ConsentId::parse),
        _ => None,
    }
}
