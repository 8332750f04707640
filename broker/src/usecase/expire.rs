//! Time is up for a consent.

use super::{Call, Rooms, revoke_obtained};
use crate::{
    audit::Deadline,
    domain::{Consent, Entry, EventDraft, EventId, EventKind, Outcome, Reason, Refusal, Write},
};

/// Expires one consent, recorded. What was obtained meanwhile is revoked at the provider.
///
/// # Errors
/// The store's and the audit log's.
pub async fn expire(rooms: &Rooms, consent: Consent) -> Result<Consent, Refusal> {
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), EventKind::ConsentExpired, Outcome::Failed);
    draft = draft.about(&consent.subject);
    draft.reason = Some(Reason::ConsentExpired);
    draft.workload = Some(consent.workload.clone());
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    let expected_version = consent.version;
    let before = consent.clone();
    let next = consent.expire()?;
    let effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next.clone()), expected_version }];
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await {
        Ok(_) => {
            let call = Call { client_address: None, trace_id: None, deadline: Deadline::none() };
            revoke_obtained(rooms, &call, before).await;
            Ok(next)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Expires every overdue consent; returns how many.
///
/// # Errors
/// The store's and the audit log's.
pub async fn expire_overdue(rooms: &Rooms) -> Result<usize, Refusal> {
    let overdue = rooms.store.consents.overdue(rooms.clock.now(), 100).await?;
    let mut count = 0;
    for tagged in overdue {
        // A row that fails its check stays where it is; an operator sees it in `audit verify` and the log.
        let Ok(consent) = tagged.check(&rooms.row_key()) else {
            tracing::error!("an overdue consent failed its integrity check");
            continue;
        };
        if consent.is_expired(rooms.clock.now()) {
            expire(rooms, consent).await?;
            count += 1;
        }
    }
    Ok(count)
}
