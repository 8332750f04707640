//! A refused batch is written down before it is answered (AU2): one row per item, all of them or none.

use super::{Call, Rooms};
use crate::domain::{Entry, EventDraft, Group, Outcome, Reason, Refusal, ScopeSet};

/// Records `refusal` about item `at`, or about all of them, and gives it back; or the audit log's own refusal, if it cannot be
/// written (AU3). The other items were not done for its sake, which their rows say as the ledger does.
pub(super) async fn record_denials(
    rooms: &Rooms,
    call: &Call,
    drafts: Vec<EventDraft>,
    at: Option<usize>,
    refusal: Refusal,
) -> Refusal {
    let mut entries = Vec::with_capacity(drafts.len());
    for (item, mut draft) in drafts.into_iter().enumerate() {
        draft.scopes_granted = ScopeSet::default();
        draft.outcome = Outcome::Denied;
        draft.reason = Some(refusal.reason);
        if at.is_some_and(|at| at != item) {
            draft.outcome = Outcome::Failed;
            draft.reason = Some(Reason::Conflict);
            draft.detail.insert("group_failed", true.into());
        }
        let summed_up = match (&draft.workload, draft.reason) {
            (Some(workload), Some(reason)) => !rooms.refusals.spend("grpc", reason, workload),
            _ => false,
        };
        if !summed_up {
            entries.push(Entry::note(draft));
        }
    }
    if entries.is_empty() {
        return refusal.recorded();
    }
    match rooms.audit.note_group(Group { entries }, call.deadline).await {
        Ok(_) => refusal.recorded(),
        Err(refused) => refused.into(),
    }
}
