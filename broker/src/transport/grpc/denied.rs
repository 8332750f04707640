//! Refusals by every method but IssueGrant, which writes down its own.

use super::{gate::Principal, status::to_status};
use crate::{
    domain::{EventKind, Outcome, Reason, Refusal},
    usecase::{Caller, Rooms, record_denial},
};
use tonic::Status;

/// What is answered: a refusal of a known workload is written down first, one of anybody else is counted (AU2).
pub(super) async fn answer<T>(
    rooms: &Rooms,
    principal: &Principal,
    done: Result<T, Refusal>,
) -> Result<T, Status> {
    match done {
        Ok(done) => Ok(done),
        Err(refusal) => Err(to_status(&written_down(rooms, principal, refusal).await)),
    }
}

/// The refusal, once a row says so or it is counted; the audit log's own, if it cannot be written (AU3).
pub(super) async fn written_down(rooms: &Rooms, principal: &Principal, refusal: Refusal) -> Refusal {
    if refusal.recorded || is_weather(refusal.reason) {
        return refusal;
    }
    let Some(workload) = principal.workload.clone() else {
        if let Some(source) = principal.call.client_address {
            rooms.refusals.count("grpc", refusal.reason, source);
        }
        return refusal;
    };
    let caller = Caller { workload, call: principal.call.clone() };
    let mut draft = caller.draft(&*rooms.rng, EventKind::CallDenied, Outcome::Denied);
    draft.detail.insert("action", principal.action.into());
    record_denial(rooms, &caller.call, draft, refusal).await
}

/// Says something about the broker's own state, not about the caller; most could not be written down anyway.
fn is_weather(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AuditUnavailable
            | Reason::StoreUnavailable
            | Reason::KeyUnavailable
            | Reason::Overloaded
            | Reason::DeadlineExceeded
            | Reason::Internal
    )
}
