//! Time is up for a consent.

use super::{Rooms, revoke_leftover::end};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        Consent, ConsentId, ConsentState, Entry, EventDraft, EventId, EventKind, Outcome, QuarantinedRow,
        Reason, Refusal, RowKey, Tagged, Write,
    },
};
use std::sync::Arc;

/// Expires one consent, recorded. What was obtained meanwhile is revoked at the provider. One whose code was being exchanged ends
/// like this when the process that exchanged it died: what the provider gave then, if anything, is known to nobody here.
///
/// # Errors
/// The store's and the audit log's.
pub async fn expire(rooms: &Arc<Rooms>, consent: Consent) -> Result<Consent, Refusal> {
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), EventKind::ConsentExpired, Outcome::Failed);
    draft = draft.about(&consent.subject);
    draft.reason = Some(Reason::ConsentExpired);
    draft.workload = Some(consent.workload.clone());
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    let expected_version = consent.version;
    if matches!(consent.state, ConsentState::Exchanging { .. }) {
        draft.detail.insert("interrupted", true.into());
    }
    let next = consent.expire()?;
    let effect = end(rooms, &next, expected_version);
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await {
        Ok(_) => Ok(next),
        // Somebody else moved it on at the same moment: what they made of it counts.
        Err(Refused::NotApplied) => reread(rooms, &next.id).await,
        Err(refused) => Err(refused.into()),
    }
}

/// The consent as it is now.
pub(super) async fn reread(rooms: &Rooms, id: &ConsentId) -> Result<Consent, Refusal> {
    let found = rooms.store.consents.by_id(id).await?;
    Ok(found.ok_or_else(|| Refusal::new(Reason::NotFound))?.check(&rooms.row_key())?)
}

/// The consent if its row is authentic, else the row to be set aside.
pub(super) fn checked(tagged: Tagged<Consent>, key: &RowKey) -> Result<Consent, QuarantinedRow> {
    let row = QuarantinedRow::of_consent(&tagged);
    tagged.check(key).map_err(|_| row)
}

/// Expires every overdue consent; returns how many.
///
/// # Errors
/// The store's and the audit log's.
pub async fn expire_overdue(rooms: &Arc<Rooms>) -> Result<usize, Refusal> {
    let overdue = rooms.store.consents.overdue(rooms.clock.now(), 100).await?;
    let mut count = 0;
    for found in overdue {
        let consent = match found.and_then(|tagged| checked(tagged, &rooms.row_key())) {
            Ok(consent) => consent,
            // It leaves the sweep, so that many of them never keep it from the others.
            Err(row) => {
                if let Err(refusal) = set_aside(rooms, row).await {
                    tracing::warn!(reason = refusal.reason.as_str(), "a consent could not be set aside");
                }
                continue;
            }
        };
        if consent.is_expired(rooms.clock.now()) {
            match expire(rooms, consent).await {
                Ok(_) => count += 1,
                // The others are not kept waiting by one.
                Err(refusal) => {
                    tracing::warn!(reason = refusal.reason.as_str(), "a consent could not be expired")
                }
            }
        }
    }
    Ok(count)
}

/// An overdue consent that is quarantined (VA9): it is over, recorded with what little of it can be named.
async fn set_aside(rooms: &Rooms, row: QuarantinedRow) -> Result<(), Refusal> {
    tracing::error!(column = row.column, "an overdue consent is quarantined");
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), EventKind::ConsentFailed, Outcome::Failed);
    draft.reason = Some(Reason::RecordQuarantined);
    draft.consent = row.id(ConsentId::parse);
    let effect = vec![Write::SetAsideConsent(row)];
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await {
        Ok(_) | Err(Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}
