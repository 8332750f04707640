//! What a provider gave for a code is stored, or revoked: it is good for nothing but this consent, and nobody else knows it.

use super::{
    Rooms, Visitor, expire,
    revoke_leftover::{end, give_back},
};
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Consent, ConsentState, Entry, EventDraft, EventId, EventKind, Outcome, Reason,
        RefreshToken, Refusal, SecretString,
        consent::{Leftover, Obtained},
    },
};
use std::time::Duration;

/// How long storing what a provider gave is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came for a code, sealed, and what is to become of the consent.
pub(super) struct Came {
    pub(super) leftover: Leftover,
    pub(super) next: Next,
}

pub(super) enum Next {
    /// The person is asked whether the account is right.
    Confirm(Box<Obtained>),
    /// Nobody will own it.
    Fail(Reason),
}

/// Seals what came for a code that is spent: a key that cannot be had right now is waited for. One that cannot be had for all
/// that time loses the tokens: what is not sealed is neither stored nor sent anywhere, and ends by itself at the provider.
///
/// # Errors
/// The vault's.
pub(super) async fn seal_all(
    rooms: &Rooms,
    consent: &Consent,
    refresh: Option<SecretString>,
    access: Option<SecretString>,
) -> Result<Leftover, Refusal> {
    let (key, until) = (consent.record_key(), rooms.clock.now().plus(PATIENCE));
    let mut leftover = Leftover::default();
    if let Some(token) = refresh {
        leftover.refresh = Some(rooms.vault.seal_patiently::<RefreshToken>(&key, token, until).await?);
    }
    if let Some(token) = access {
        leftover.access = Some(rooms.vault.seal_patiently::<AccessToken>(&key, token, until).await?);
    }
    Ok(leftover)
}

/// The consent fails, and what came for it is to be revoked: one commit.
pub(super) async fn unwanted(
    rooms: &Rooms,
    visitor: &Visitor,
    consent: Consent,
    leftover: Leftover,
    reason: Reason,
) -> Result<(), Refusal> {
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentFailed, Outcome::Failed, &consent);
    draft.reason = Some(reason);
    settle(rooms, consent, Came { leftover, next: Next::Fail(reason) }, draft).await
}

/// Stores what came. Whatever else happens to the consent meanwhile, the tokens are either kept or revoked: also when its row is
/// edited, put back, removed or held fast, so that it cannot hold them. Where the store or the log cannot be written for a minute on end,
/// neither can be done, and they end by themselves at the provider.
///
/// # Errors
/// The store's and the audit log's; [`Reason::RecordQuarantined`] when the row cannot hold them.
pub(super) async fn settle(
    rooms: &Rooms,
    consent: Consent,
    came: Came,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    let until = rooms.clock.now().plus(PATIENCE);
    let mut pause = Duration::from_millis(50);
    loop {
        let refusal = match next_of(rooms, &consent, &came).await {
            Ok(None) => return Ok(()),
            Ok(Some((next, expected_version))) => {
                if next.state.is_terminal() && draft.outcome == Outcome::Allowed {
                    // It ended meanwhile, and that outcome stands: these tokens will be nobody's.
                    draft.outcome = Outcome::Failed;
                    draft.reason = Some(Reason::Conflict);
                }
                let effect = end(rooms, &next, expected_version);
                let entry = Entry { effect, settlement: true, ..Entry::note(draft.clone()) };
                match rooms.audit.note(entry, Deadline::none()).await {
                    Ok(_) => return Ok(()),
                    Err(refused) => Refusal::from(refused),
                }
            }
            Err(refusal) if refusal.reason == Reason::StoreUnavailable => refusal,
            Err(refusal) => return homeless(rooms, &consent, &came.leftover, draft, refusal).await,
        };
        draft.id = EventId::random(&*rooms.rng);
        if rooms.clock.now() >= until {
            // The log takes what it is told, and only the row does not change.
            if refusal.reason == Reason::Conflict {
                return homeless(rooms, &consent, &came.leftover, draft, refusal).await;
            }
            tracing::error!(reason = refusal.reason.as_str(), "what a provider gave could not be stored");
            return Err(refusal);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// The consent as it is to become, and the version that it has; `None` = an earlier try whose answer was lost was committed.
async fn next_of(rooms: &Rooms, consent: &Consent, came: &Came) -> Result<Option<(Consent, i64)>, Refusal> {
    let now = expire::reread(rooms, &consent.id).await?;
    let expected_version = now.version;
    Ok(came.applied_to(rooms, now, consent)?.map(|next| (next, expected_version)))
}

/// The consent's row cannot hold what came: somebody edited it, put an earlier one back, removed it, or keeps it from changing. The consent that this
/// process holds is authentic and names the tokens, so they are revoked from here, and both are on record.
async fn homeless(
    rooms: &Rooms,
    consent: &Consent,
    leftover: &Leftover,
    mut draft: EventDraft,
    refusal: Refusal,
) -> Result<(), Refusal> {
    tracing::error!(
        consent = %consent.id, reason = refusal.reason.as_str(),
        "a consent cannot hold what its provider gave: it is revoked"
    );
    draft.kind = EventKind::ConsentFailed;
    draft.outcome = Outcome::Failed;
    draft.reason = Some(Reason::RecordQuarantined);
    let noted = rooms.audit.note(Entry { settlement: true, ..Entry::note(draft) }, Deadline::none()).await;
    if !leftover.is_empty() {
        give_back(rooms, consent, leftover, rooms.clock.now().plus(PATIENCE)).await?;
    }
    noted?;
    Err(Refusal::new(Reason::RecordQuarantined).caused_by(refusal))
}

impl Came {
    /// The consent as it is `now`, moved on; `None` = an earlier try whose answer was lost was committed.
    fn applied_to(
        &self,
        rooms: &Rooms,
        now: Consent,
        exchanging: &Consent,
    ) -> Result<Option<Consent>, Refusal> {
        let own = matches!(now.state, ConsentState::Exchanging { .. })
            && now.state.state_hash() == exchanging.state.state_hash();
        let next = match (&self.next, &now.state) {
            (Next::Confirm(obtained), _) if own => {
                let until = now.created_at.plus(rooms.settings.consent_lifetime);
                now.obtained(Obtained::clone(obtained), until)?
            }
            (Next::Fail(reason), _) if own => {
                let failed = now.fail(*reason)?;
                Consent { leftover: self.leftover.clone(), ..failed }
            }
            // The person may have confirmed already.
            (_, ConsentState::AwaitingConfirmation { .. } | ConsentState::Completed { .. }) => {
                return Ok(None);
            }
            _ if now.leftover.is(&self.leftover) => return Ok(None),
            // It ended meanwhile: declined, expired.
            _ => now.leave(self.leftover.clone())?,
        };
        Ok(Some(next))
    }
}
