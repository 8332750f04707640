//! What a provider gave for a code is stored, or revoked: it is good for nothing but this consent, and nobody else knows it.

use super::{
    Rooms, Visitor, expire,
    give_back_spooled::GivenBack,
    kept,
    revoke_leftover::{end, give_back, give_back_kept},
};
use crate::{
    audit::Deadline,
    connection::spool::{Exchanged, Slot},
    crash::crash_point,
    domain::{
        AccessToken, Consent, ConsentState, Entry, EventDraft, EventId, EventKind, Outcome, Reason,
        RefreshToken, Refusal, SecretString, Timestamp,
        consent::{Leftover, Obtained},
    },
    vault::{Sealer, VaultError},
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

/// Seals what came for a code that is spent, with a key that was at hand before the provider was asked.
///
/// # Errors
/// The vault's.
pub(super) fn seal_all(
    sealer: &Sealer,
    consent: &Consent,
    refresh: Option<&SecretString>,
    access: Option<&SecretString>,
) -> Result<Leftover, VaultError> {
    let key = consent.record_key();
    let refresh = refresh.map(|token| sealer.seal::<RefreshToken>(&key, token)).transpose()?;
    let access = access.map(|token| sealer.seal::<AccessToken>(&key, token)).transpose()?;
    Ok(Leftover { refresh, access })
}

/// The consent fails, and what came for it is to be revoked: one commit.
pub(super) async fn unwanted(
    rooms: &Rooms,
    visitor: &Visitor,
    consent: Consent,
    leftover: Leftover,
    reason: Reason,
    slot: Slot,
) -> Result<(), Refusal> {
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentFailed, Outcome::Failed, &consent);
    draft.reason = Some(reason);
    settle_kept(rooms, consent, Came { leftover, next: Next::Fail(reason) }, draft, slot).await
}

/// Stores what came, kept in the spool until it is.
///
/// # Errors
/// As [`settle`].
pub(super) async fn settle_kept(
    rooms: &Rooms,
    consent: Consent,
    came: Came,
    draft: EventDraft,
    mut slot: Slot,
) -> Result<(), Refusal> {
    keep(rooms, &mut slot, &consent, &came).await;
    crash_point!(rooms.points, "code.settling");
    let settled = settle(rooms, consent, came, draft).await;
    crash_point!(rooms.points, "code.settled");
    match &settled {
        // Nothing can be written right now: what came stays in the spool.
        Err(refusal) if is_passing(refusal.reason) => {}
        _ => slot.discharge().await,
    }
    settled
}

/// Keeps what came, and what is to become of the consent: on disk when this returns.
pub(super) async fn keep(rooms: &Rooms, slot: &mut Slot, consent: &Consent, came: &Came) {
    if let Err(error) = slot.keep(&kept::record(consent, came, rooms.clock.now())).await {
        tracing::error!(%error, "what a provider gave could not be kept in the spool");
    }
}

/// What became of what was kept for a code.
pub(super) enum StoredCode {
    /// It is stored.
    Done,
    /// It is to be tried again.
    Later,
    /// Its consent's row cannot hold it.
    Homeless(Box<Homeless>),
}

/// What was kept for a code, and its consent's row cannot hold.
pub(super) struct Homeless {
    consent: Consent,
    leftover: Leftover,
    since: Timestamp,
    draft: EventDraft,
    refusal: Refusal,
}

impl Homeless {
    /// Revokes it, in one try, and puts both on record. The entry stays until the provider is told, however long it does not answer.
    ///
    /// # Errors
    /// The audit log's.
    pub(super) async fn give_back(self, rooms: &Rooms) -> Result<GivenBack, Refusal> {
        let given_back = give_back_kept(rooms, &self.consent, &self.leftover, self.since).await?;
        if matches!(given_back, GivenBack::Over) {
            note_homeless(rooms, &self.consent, self.draft, &self.refusal).await?;
        }
        Ok(given_back)
    }
}

/// Stores what was kept for a code.
///
/// # Errors
/// As [`settle`].
pub(super) async fn store_kept(rooms: &Rooms, kept: &Exchanged) -> Result<StoredCode, Refusal> {
    let (consent, came) = kept::came(kept)?;
    let failed = matches!(came.next, Next::Fail(_));
    let kind = if failed { EventKind::ConsentFailed } else { EventKind::ConsentObtained };
    let outcome = if failed { Outcome::Failed } else { Outcome::Allowed };
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), kind, outcome).about(&consent.subject);
    draft.workload = Some(consent.workload.clone());
    draft.provider = Some(consent.provider.clone());
    draft.consent = Some(consent.id.clone());
    draft.detail.insert("late", true.into());
    match &came.next {
        Next::Fail(reason) => draft.reason = Some(*reason),
        Next::Confirm(obtained) => {
            draft.scopes_granted = obtained.scopes.clone();
            draft.personal.account_label = Some(obtained.account.label.clone());
            draft.personal.account_id = Some(obtained.account.id.clone());
        }
    }
    match store_once(rooms, &consent, &came, &mut draft).await {
        Ok(Once::Stored) => Ok(StoredCode::Done),
        Ok(Once::Homeless(refusal)) => {
            let (leftover, since) = (came.leftover, kept::since(kept));
            Ok(StoredCode::Homeless(Box::new(Homeless { consent, leftover, since, draft, refusal })))
        }
        Err(refusal) if is_passing(refusal.reason) => Err(refusal),
        Err(_) => Ok(StoredCode::Later),
    }
}

fn is_passing(reason: Reason) -> bool {
    matches!(reason, Reason::StoreUnavailable | Reason::AuditUnavailable | Reason::KeyUnavailable)
}

/// Stores what came. Whatever else happens to the consent meanwhile, the tokens are either kept or revoked: also when its row is
/// edited, put back, removed or held fast, so that it cannot hold them. Where the store or the log cannot be written for a minute on end,
/// neither can be done: they wait in the spool, or without one end by themselves at the provider.
///
/// # Errors
/// The store's and the audit log's; [`Reason::RecordQuarantined`] when the row cannot hold them.
pub(super) async fn settle(
    rooms: &Rooms,
    consent: Consent,
    came: Came,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    let until = rooms.clock.monotonic() + PATIENCE;
    let mut pause = Duration::from_millis(50);
    loop {
        let refusal = match settle_once(rooms, &consent, &came, &mut draft).await {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        // Its tokens are revoked.
        if refusal.reason == Reason::RecordQuarantined {
            return Err(refusal);
        }
        if rooms.clock.monotonic() >= until {
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

/// Stores what came, or revokes it, in one try.
async fn settle_once(
    rooms: &Rooms,
    consent: &Consent,
    came: &Came,
    draft: &mut EventDraft,
) -> Result<(), Refusal> {
    match store_once(rooms, consent, came, draft).await? {
        Once::Stored => Ok(()),
        Once::Homeless(refusal) => homeless(rooms, consent, &came.leftover, draft.clone(), refusal).await,
    }
}

/// What one try came to.
enum Once {
    Stored,
    /// The consent's row cannot hold it.
    Homeless(Refusal),
}

/// Stores what came, in one try.
async fn store_once(
    rooms: &Rooms,
    consent: &Consent,
    came: &Came,
    draft: &mut EventDraft,
) -> Result<Once, Refusal> {
    match next_of(rooms, consent, came).await {
        Ok(None) => Ok(Once::Stored),
        Ok(Some((next, expected_version))) => {
            if next.state.is_terminal() && draft.outcome == Outcome::Allowed {
                // It ended meanwhile, and that outcome stands: these tokens will be nobody's.
                draft.outcome = Outcome::Failed;
                draft.reason = Some(Reason::Conflict);
            }
            let effect = end(rooms, &next, expected_version);
            let entry = Entry { effect, settlement: true, ..Entry::note(draft.clone()) };
            // Each try is an event of its own.
            draft.id = EventId::random(&*rooms.rng);
            rooms.audit.note(entry, Deadline::none()).await?;
            Ok(Once::Stored)
        }
        Err(refusal) if is_passing(refusal.reason) => Err(refusal),
        Err(refusal) => Ok(Once::Homeless(refusal)),
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
    draft: EventDraft,
    refusal: Refusal,
) -> Result<(), Refusal> {
    let noted = note_homeless(rooms, consent, draft, &refusal).await;
    if !leftover.is_empty() {
        give_back(rooms, consent, leftover, rooms.clock.now().plus(PATIENCE)).await?;
    }
    noted?;
    Err(Refusal::new(Reason::RecordQuarantined).caused_by(refusal))
}

async fn note_homeless(
    rooms: &Rooms,
    consent: &Consent,
    mut draft: EventDraft,
    refusal: &Refusal,
) -> Result<(), Refusal> {
    tracing::error!(
        consent = %consent.id, reason = refusal.reason.as_str(),
        "a consent cannot hold what its provider gave: it is revoked"
    );
    draft.kind = EventKind::ConsentFailed;
    draft.outcome = Outcome::Failed;
    draft.reason = Some(Reason::RecordQuarantined);
    rooms.audit.note(Entry { settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(())
}

impl Came {
    /// The consent as it is `now`, moved on; `None` = an earlier try whose answer was lost was committed.
    fn applied_to(
        &self,
        rooms: &Rooms,
        now: Consent,
        exchanging: &Consent,
    ) -> Result<Option<Consent>, Refusal> {
        // A state that is consumed is never another's: with another one it is an earlier row, put back and gone on with.
        let attempt = now.state.state_hash() == exchanging.state.state_hash();
        let own = attempt && matches!(now.state, ConsentState::Exchanging { .. });
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
            (_, ConsentState::AwaitingConfirmation { .. } | ConsentState::Completed { .. }) if attempt => {
                return Ok(None);
            }
            _ if now.leftover.is(&self.leftover) => return Ok(None),
            // It ended meanwhile: declined, expired.
            _ => now.leave(self.leftover.clone())?,
        };
        Ok(Some(next))
    }
}
