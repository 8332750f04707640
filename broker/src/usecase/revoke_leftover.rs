//! Tokens that a consent obtained and nobody will own are revoked at the provider, durably (RV1, CO11, CO12).
//!
//! They stay sealed in the consent's row. The commit that ends the consent, or that finds it ended, queues their revocation,
//! so a process that dies at any point after it loses nothing.

use super::{AtProvider, Rooms, retry_revocations::Told};
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Consent, Entry, EventDraft, EventId, EventKind, Kind, Outcome, RefreshToken, Refusal,
        Sealed, Timestamp, TokenHolder, Write, consent::Leftover,
    },
    policy::RevokeAtProvider,
    provider::Revocation,
};
use std::time::Duration;

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
    let at_provider = tell(rooms, &consent, &consent.leftover).await;
    let told = Told::at(rooms, at_provider, attempts + 1);
    let draft = own_draft(rooms, &consent, EventKind::ProviderRevoked, told.outcome());
    let mut effect = vec![told.reschedule(TokenHolder::Consent(consent.id.clone()))];
    if told.is_over() && !consent.leftover.is_empty() {
        let expected_version = consent.version;
        effect.push(Write::UpdateConsent { row: rooms.row_key().tag(consent.forget()), expected_version });
    }
    told.record(rooms, draft, effect).await
}

/// Revokes what came for a consent whose row cannot hold it, for as long as it takes, until `until`: what this process holds is
/// all there is of it. `consent` is the one that exchanged the code.
///
/// # Errors
/// The audit log's.
pub(super) async fn give_back(
    rooms: &Rooms,
    consent: &Consent,
    came: &Leftover,
    until: Timestamp,
) -> Result<(), Refusal> {
    let mut pause = Duration::from_millis(200);
    let mut attempts = 1_i64;
    let mut at_provider = tell(rooms, consent, came).await;
    while at_provider == AtProvider::FailedWillRetry && rooms.clock.now() < until {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        attempts += 1;
        at_provider = tell(rooms, consent, came).await;
    }
    let (said, outcome) = match at_provider {
        AtProvider::FailedWillRetry => ("given_up", Outcome::Failed),
        told => (told.as_str(), Outcome::Allowed),
    };
    let mut draft = own_draft(rooms, consent, EventKind::ProviderRevoked, outcome);
    draft.detail.insert("at_provider", said.into());
    draft.detail.insert("attempts", attempts.into());
    rooms.audit.note(Entry { settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(())
}

/// Tells the provider of tokens that came for `consent`, the refresh token first: it usually takes the other with it.
async fn tell(rooms: &Rooms, consent: &Consent, came: &Leftover) -> AtProvider {
    let mut at_provider = AtProvider::Revoked;
    let refresh = match &came.refresh {
        Some(sealed) => Some(tell_one::<RefreshToken>(rooms, consent, sealed).await),
        None => None,
    };
    let failed = matches!(refresh, Some(Err(_)));
    let access = match &came.access {
        Some(sealed) if !failed => Some(tell_one::<AccessToken>(rooms, consent, sealed).await),
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
    at_provider
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
