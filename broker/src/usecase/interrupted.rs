//! What a process that died had under way with a provider, found by its successor.

use super::Rooms;
use crate::{
    audit::{Deadline, Refused},
    domain::{
        Consent, ConsentState, Entry, EventDraft, EventId, EventKind, Outcome, Reason, Refusal, Timestamp,
        Write,
    },
};

/// Fails every consent whose code was being exchanged when the process before this one ended; returns how many.
///
/// The code is spent, and what the provider gave for it is lost. Without this the person's link would say "one moment"
/// until it expires, and the same need would get the same link. Only right at the start of the only process on a
/// database: among replicas another one may be exchanging now.
///
/// # Errors
/// The store's and the audit log's.
pub async fn fail_interrupted(rooms: &Rooms) -> Result<usize, Refusal> {
    let open = rooms.store.consents.overdue(Timestamp::from_micros(i64::MAX), u32::MAX).await?;
    let mut count = 0;
    for tagged in open.into_iter().flatten() {
        // A row that fails its check stays where it is, as when it is overdue.
        let Ok(consent) = tagged.check(&rooms.row_key()) else { continue };
        if matches!(consent.state, ConsentState::Exchanging { .. }) {
            fail(rooms, consent).await?;
            count += 1;
        }
    }
    Ok(count)
}

async fn fail(rooms: &Rooms, consent: Consent) -> Result<(), Refusal> {
    let reason = Reason::ProviderUnavailable;
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), EventKind::ConsentFailed, Outcome::Failed);
    draft = draft.about(&consent.subject);
    draft.reason = Some(reason);
    draft.workload = Some(consent.workload.clone());
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    draft.detail.insert("interrupted", true.into());
    let expected_version = consent.version;
    let row = rooms.row_key().tag(consent.fail(reason)?);
    let effect = vec![Write::UpdateConsent { row, expected_version }];
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await {
        Ok(_) | Err(Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}
