//! Tokens that a consent obtained and nobody will own are revoked at the provider, durably (RV1, CO11, CO12).
//!
//! They stay sealed in the consent's row. The commit that ends the consent, or that finds it ended, queues their revocation,
//! so a process that dies at any point after it loses nothing.

use super::{AtProvider, Rooms, retry_revocations::Told};
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Consent, Entry, EventDraft, EventId, EventKind, Kind, Outcome, RefreshToken, Refusal,
        Sealed, TokenHolder, Write,
    },
    policy::RevokeAtProvider,
    provider::Revocation,
};

/// The writes that store a consent that is over, and have what it leaves behind revoked. The worker does it at its next round.
pub(super) fn end(rooms: &Rooms, next: &Consent, expected_version: i64) -> Vec<Write> {
    let mut effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next.clone()), expected_version }];
    if !next.leftover.is_empty() {
        let holder = TokenHolder::Consent(next.id.clone());
        effect.push(Write::QueueProviderRevocation { holder, due_at: rooms.clock.now() });
    }
    effect
}

/// Revokes what a consent that is over left behind, the refresh token first, and records what came of it.
///
/// # Errors
/// The store's and the audit log's.
pub(super) async fn tell_of_leftover(rooms: &Rooms, consent: Consent, attempts: i64) -> Result<(), Refusal> {
    let mut at_provider = AtProvider::Revoked;
    let refresh = match &consent.leftover.refresh {
        Some(sealed) => Some(tell_one::<RefreshToken>(rooms, &consent, sealed).await),
        None => None,
    };
    let failed = matches!(refresh, Some(Err(_)));
    let access = match &consent.leftover.access {
        Some(sealed) if !failed => Some(tell_one::<AccessToken>(rooms, &consent, sealed).await),
        _ => None,
    };
    for told in [refresh, access].into_iter().flatten() {
        match told {
            Ok(Revocation::Revoked) => {}
            Ok(Revocation::Unsupported) => at_provider = AtProvider::Unsupported,
            Err(refusal) => {
                tracing::warn!(reason = refusal.reason.as_str(), consent = %consent.id, "revocation at the provider failed");
                at_provider = AtProvider::FailedWillRetry;
            }
        }
    }
    let told = Told::at(rooms, at_provider, attempts + 1);
    let draft = own_draft(rooms, &consent, EventKind::ProviderRevoked, told.outcome());
    let mut effect = vec![told.reschedule(TokenHolder::Consent(consent.id.clone()))];
    if told.is_over() && !consent.leftover.is_empty() {
        let expected_version = consent.version;
        effect.push(Write::UpdateConsent { row: rooms.row_key().tag(consent.forget()), expected_version });
    }
    told.record(rooms, draft, effect).await
}

async fn tell_one<K: Kind>(
    rooms: &Rooms,
    consent: &Consent,
    sealed: &Sealed<K>,
) -> Result<Revocation, Refusal> {
    let spec = rooms.provider(&consent.provider)?;
    let permit = rooms.policy.revoke_waiting::<K>(consent)?;
    let draft = own_draft(rooms, consent, EventKind::ProviderRevokeIntent, Outcome::Allowed);
    let proof =
        rooms.audit.record::<RevokeAtProvider<K>>(permit, Entry::note(draft), Deadline::none()).await?;
    let opened = rooms.vault.open(proof, sealed).await?;
    Ok(rooms.engine.revoke(spec, opened).await?)
}

fn own_draft(rooms: &Rooms, consent: &Consent, kind: EventKind, outcome: Outcome) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), kind, outcome).about(&consent.subject);
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    draft
}
