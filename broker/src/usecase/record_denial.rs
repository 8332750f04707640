//! Every refusal about a known caller is written down before it is answered (AU2).

use super::{Call, Rooms};
use crate::domain::{Entry, EventDraft, Outcome, Refusal};

/// Records `refusal` and gives it back; or the audit log's own refusal, if it cannot be written (AU3).
pub async fn record_denial(rooms: &Rooms, call: &Call, mut draft: EventDraft, refusal: Refusal) -> Refusal {
    draft.outcome = Outcome::Denied;
    draft.reason = Some(refusal.reason);
    draft.scopes_granted = crate::domain::ScopeSet::default();
    if let Some(workload) = &draft.workload
        && !rooms.refusals.spend("grpc", refusal.reason, workload)
    {
        return refusal.recorded();
    }
    match rooms.audit.note(Entry::note(draft), call.deadline).await {
        Ok(_) => refusal.recorded(),
        Err(refused) => refused.into(),
    }
}
