//! Tokens that waited for a confirmation that will not come are revoked at the provider.

use super::{Call, Rooms};
use crate::{
    domain::{
        AccessToken, Consent, ConsentState, Entry, EventKind, Kind, Outcome, RefreshToken, Refusal, Sealed,
    },
    policy::RevokeAtProvider,
};

/// Revokes what a consent obtained, if anything. The outcome is in the log; a failure there changes nothing here,
/// because nobody can use these tokens: they are no connection's.
pub(super) async fn revoke_obtained(rooms: &Rooms, call: &Call, consent: Consent) {
    if let ConsentState::AwaitingConfirmation { obtained, .. } = &consent.state {
        revoke_sealed(rooms, call, &consent, obtained.refresh.as_ref(), &obtained.access).await;
    }
}

/// Revokes tokens sealed under a consent's key, the refresh token first.
pub(super) async fn revoke_sealed(
    rooms: &Rooms,
    call: &Call,
    consent: &Consent,
    refresh: Option<&Sealed<RefreshToken>>,
    access: &Sealed<AccessToken>,
) {
    if let Some(refresh) = refresh {
        report(revoke_one(rooms, call, consent, refresh).await);
    }
    report(revoke_one(rooms, call, consent, access).await);
}

fn report(result: Result<(), Refusal>) {
    if let Err(refusal) = result {
        tracing::warn!(
            reason = refusal.reason.as_str(),
            "tokens of an unfinished consent could not be revoked"
        );
    }
}

async fn revoke_one<K: Kind>(
    rooms: &Rooms,
    call: &Call,
    consent: &Consent,
    sealed: &Sealed<K>,
) -> Result<(), Refusal> {
    let spec = rooms.provider(&consent.provider)?;
    let permit = rooms.policy.revoke_waiting::<K>(consent)?;
    let mut draft =
        call.draft(&*rooms.rng, EventKind::ProviderRevokeIntent, Outcome::Allowed).about(&consent.subject);
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    let proof = rooms.audit.record::<RevokeAtProvider<K>>(permit, Entry::note(draft), call.deadline).await?;
    let opened = rooms.vault.open(proof, sealed).await?;
    rooms.engine.revoke(spec, opened).await?;
    Ok(())
}
