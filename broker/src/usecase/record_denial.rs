//! Every refusal about a known caller is written down before it is answered (AU2).

use super::{Call, Caller, Rooms};
use crate::{
    domain::{Entry, EventDraft, EventKind, Outcome, Refusal},
    identity::VerifiedWorkload,
};

/// Records `refusal` and gives it back; or the audit log's own refusal, if it cannot be written (AU3).
pub async fn record_denial(rooms: &Rooms, call: &Call, mut draft: EventDraft, refusal: Refusal) -> Refusal {
    draft.outcome = Outcome::Denied;
    draft.reason = Some(refusal.reason);
    draft.scopes_granted = crate::domain::ScopeSet::default();
    if let Some(workload) = &draft.workload
        && !rooms.refusals.spend("grpc", refusal.reason, workload)
    {
        return refusal;
    }
    match rooms.audit.note(Entry::note(draft), call.deadline).await {
        Ok(_) => refusal,
        Err(refused) => refused.into(),
    }
}

/// An assertion that was refused: recorded for a known workload, counted for anybody else (AU2).
pub async fn unknown_person(
    rooms: &Rooms,
    workload: Option<VerifiedWorkload>,
    call: Call,
    refusal: Refusal,
) -> Refusal {
    match workload {
        Some(workload) => {
            let caller = Caller { workload, call };
            let draft = caller.draft(&*rooms.rng, EventKind::CallDenied, Outcome::Denied);
            record_denial(rooms, &caller.call, draft, refusal).await
        }
        None => {
            if let Some(source) = call.client_address.as_ref().and_then(|text| text.parse().ok()) {
                rooms.refusals.count("grpc", refusal.reason, source);
            }
            refusal
        }
    }
}
