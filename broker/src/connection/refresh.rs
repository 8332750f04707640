//! One refresh: lease and intent in one commit, the call, and the settlement before anything else (design §7).

use super::{
    failure::{give_back_detached, latch, settle_failure},
    settlement::{Lease, Settlement, settle},
    spool::Slot,
    tokens::Tokens,
};
use crate::{
    audit::{Audited, Deadline, Refused},
    crash::crash_point,
    domain::{
        Connection, Entry, EventDraft, EventId, EventKind, Names, Outcome, Owner, ProviderSpec, Reason,
        RefreshToken, Refusal, ScopeSet, Sealed, SecretRow, SecretString, WorkloadId, Write,
        ledger::{SettleLease, TakeLease},
        provider::Rotation,
    },
    policy::{Permit, Refresh},
    provider::{ProviderError, TokenSet, WORST_CASE},
    vault::Sealer,
};
use std::time::Duration;

/// How long a lease holds: longer than the HTTP deadline, so that a successor after a crash waits out the call (RF7).
const LEASE: Duration = Duration::from_secs(60);
/// Shorter ones are not taken, however short the time in which a provider accepts the old token again.
const SHORTEST: Duration = Duration::from_secs(20);
/// How long a refused client or a silent provider is left alone (RF9).
const COOLDOWN: Duration = Duration::from_secs(10);

/// How long a lease holds at a provider: where the old token works a while longer, a successor after a crash must come in that time.
pub(super) fn lease_of(rotation: Rotation) -> Duration {
    match rotation {
        Rotation::WithGrace(grace) => LEASE.min((grace * 2 / 3).max(SHORTEST)),
        _ => LEASE,
    }
}

/// What came of a refresh.
pub(super) enum RefreshOutcome {
    /// New tokens are stored; this is the access token.
    Stored(Box<SecretRow>),
    /// The provider ended the grant: the owner must connect again.
    ReauthRequired,
    /// Another replica was quicker to take the lease.
    Elsewhere,
}

/// A refresh that is decided and about to be recorded.
pub(super) struct Refreshing {
    pub(super) connection: Connection,
    pub(super) lease_epoch: i64,
    pub(super) secret: SecretRow,
    /// Larger than that of any value the connection ever had.
    pub(super) generation: i64,
    pub(super) spec: ProviderSpec,
    pub(super) narrow_to: Option<ScopeSet>,
    pub(super) permit: Permit<Refresh>,
    /// `None` = nobody waits for it.
    pub(super) workload: Option<WorkloadId>,
    pub(super) names: Names,
    pub(super) epoch: i64,
}

/// A refresh that is under way.
struct Underway<'a> {
    tokens: &'a Tokens,
    connection: Connection,
    secret: SecretRow,
    generation: i64,
    spec: ProviderSpec,
    narrow_to: Option<ScopeSet>,
    workload: Option<WorkloadId>,
    lease: Lease,
    sealer: Sealer,
    slot: Slot,
}

impl Refreshing {
    /// Records the intent, calls the provider, settles.
    ///
    /// # Errors
    /// What the log, the vault, the spool or the provider refused.
    pub(super) async fn run(self, tokens: &Tokens) -> Result<RefreshOutcome, Refusal> {
        // Before the lease is taken: the database's clock starts later, so this share of it ends earlier (RF2).
        let ends = tokens.clock.monotonic() + lease_of(self.spec.rotation);
        // What is needed to keep what comes is at hand before it is asked for (RF5).
        let sealer = tokens.vault.sealer(self.connection.owner.tenant()).await?;
        let slot = room(tokens, self.spec.rotation).await?;
        crash_point!(tokens.points, "refresh.before_lease");
        let Self { connection, secret, generation, spec, narrow_to, workload, .. } = self;
        let owner = format!("{}/{}", tokens.replica, EventId::random(&*tokens.rng));
        let lease = Lease { owner, epoch: self.lease_epoch + 1, ends };
        let underway = Underway {
            tokens,
            connection,
            secret,
            generation,
            spec,
            narrow_to,
            workload,
            lease,
            sealer,
            slot,
        };
        let proof = match underway.take(self.permit, self.names, self.epoch).await? {
            Some(proof) => proof,
            None => return Ok(RefreshOutcome::Elsewhere),
        };
        crash_point!(tokens.points, "refresh.after_intent");
        underway.call(proof).await
    }
}

impl Underway<'_> {
    /// Lease and intent in one commit. `None` = another replica was quicker.
    async fn take(
        &self,
        permit: Permit<Refresh>,
        names: Names,
        epoch: i64,
    ) -> Result<Option<Audited<Permit<Refresh>>>, Refusal> {
        let mut intent = self.draft(EventKind::RefreshIntent, Outcome::Allowed);
        intent.scopes_asked = self.narrow_to.clone().unwrap_or_else(|| self.connection.scopes.clone());
        let take = Write::TakeLease(TakeLease {
            connection: self.connection.id.clone(),
            owner: self.lease.owner.clone(),
            expected_epoch: self.lease.epoch - 1,
            holds: lease_of(self.spec.rotation),
            sends: self.secret.generation,
        });
        let entry = Entry { names, epoch, effect: vec![take], ..Entry::note(intent) };
        // Not until the caller's end: a lease that is committed after it would be nobody's, and keep everybody waiting.
        match self.tokens.audit.record(permit, entry, Deadline::none()).await {
            Err(Refused::NotApplied) => Ok(None),
            Err(Refused::Unavailable) => {
                // It may be there all the same. If it is not, this changes nothing.
                let mut failed = self.draft(EventKind::RefreshFailed, Outcome::Failed);
                failed.reason = Some(Reason::AuditUnavailable);
                let reason = Reason::AuditUnavailable.as_str();
                let freed = self.lease.given_back(&self.connection.id, None, reason, None);
                let matters = LEASE + WORST_CASE + self.tokens.drain_grace;
                give_back_detached(self.tokens, failed, freed, matters);
                Err(Refused::Unavailable.into())
            }
            recorded => Ok(Some(recorded?)),
        }
    }

    async fn call(self, proof: Audited<Permit<Refresh>>) -> Result<RefreshOutcome, Refusal> {
        let sealed = Sealed::<RefreshToken>::from_envelope(self.secret.envelope.clone());
        let opened = match self.tokens.vault.open(proof, &sealed).await {
            Ok(opened) => opened,
            Err(error) => {
                let refusal = Refusal::from(error);
                self.fail(refusal.reason, None).await?;
                return Err(refusal);
            }
        };
        // A holder that stood still since has too little of its lease left for the call: its successor may be about to send the token.
        if self.tokens.clock.monotonic() + WORST_CASE > self.lease.ends {
            self.fail(Reason::DeadlineExceeded, None).await?;
            return Err(Refusal::new(Reason::ProviderUnavailable).retry_after(Duration::from_secs(1)));
        }
        // What the refresh token itself carries, which a step-up that brought no new one leaves behind.
        let held = self.secret.scopes.clone();
        let answer = self.tokens.engine.refresh(&self.spec, opened, self.narrow_to.as_ref(), &held).await;
        crash_point!(self.tokens.points, "refresh.response_read");
        match answer {
            Ok(set) => self.succeed(set).await,
            Err(error) if error.is_terminal() => {
                let latched = self.draft(EventKind::ConnectionLatched, Outcome::Failed);
                latch(self.tokens, self.connection, &self.lease, self.secret.generation, latched).await?;
                Ok(RefreshOutcome::ReauthRequired)
            }
            Err(error) => Err(self.refused(error).await?),
        }
    }

    /// Stores what came back before looking at anything else (RF4): the access and the refresh token in one commit.
    async fn succeed(self, set: TokenSet) -> Result<RefreshOutcome, Refusal> {
        // Technical scopes such as `offline_access` are no part of what a token is said to do.
        let scopes = set.scopes.minus(&self.spec.technical_scopes);
        let mut draft = self.draft(EventKind::RefreshStored, Outcome::Allowed);
        draft.detail.insert("rotated", set.refresh.is_some().into());
        draft.expires_at = set.access_expires_at;
        draft.scopes_granted = scopes.clone();
        let mut settlement = self.settlement();
        settlement.seal_access(&self.sealer, &self.connection, scopes, &set.access, set.access_expires_at)?;
        // No refresh token in the answer keeps the old one (RF7).
        if let Some(refresh) = &set.refresh {
            settlement.seal_refresh(
                &self.sealer,
                &self.connection,
                &self.secret.scopes,
                refresh,
                &self.spec,
            )?;
        }
        crash_point!(self.tokens.points, "refresh.sealed");
        let access = settlement.access.clone().ok_or_else(|| Refusal::new(Reason::Internal))?;
        settle(self.tokens, settlement, draft, self.slot, &self.lease, self.spec.rotation).await?;
        Ok(RefreshOutcome::Stored(Box::new(access)))
    }

    /// No usable answer. One that cannot be used may still carry the only refresh token that works from now on (RF4).
    async fn refused(self, error: ProviderError) -> Result<Refusal, Refusal> {
        let rescued = match &error {
            ProviderError::Protocol { rescued, .. } => rescued.clone(),
            _ => None,
        };
        let refusal = Refusal::from(error);
        // Scopes that one server may not have are no reason to keep the others waiting. A provider that says "at once" is asked again,
        // but not in a loop (RF9).
        let scopes = refusal.reason == Reason::ScopeUnknown;
        let rest = refusal.retry_after.unwrap_or(COOLDOWN).max(Duration::from_secs(1));
        if let Some(token) = rescued {
            return self.rescue(token, refusal.retry_after(rest), rest).await;
        }
        self.fail(refusal.reason, (!scopes).then_some(rest)).await?;
        Ok(if scopes { refusal } else { refusal.retry_after(rest) })
    }

    async fn rescue(self, token: SecretString, refusal: Refusal, rest: Duration) -> Result<Refusal, Refusal> {
        let mut settlement = self.settlement();
        settlement.seal_refresh(&self.sealer, &self.connection, &self.secret.scopes, &token, &self.spec)?;
        settlement.after = (Some(rest), refusal.reason.as_str());
        let mut stored = self.draft(EventKind::RefreshStored, Outcome::Failed);
        stored.reason = Some(refusal.reason);
        let mut failed = self.draft(EventKind::RefreshFailed, Outcome::Failed);
        failed.reason = Some(refusal.reason);
        settle(self.tokens, settlement, stored, self.slot, &self.lease, self.spec.rotation).await?;
        self.tokens.audit.note(Entry { settlement: true, ..Entry::note(failed) }, Deadline::none()).await?;
        Ok(refusal)
    }

    async fn fail(&self, reason: Reason, rest: Option<Duration>) -> Result<(), Refusal> {
        let failed = self.draft(EventKind::RefreshFailed, Outcome::Failed);
        settle_failure(self.tokens, &self.connection, &self.lease, failed, reason, rest).await
    }

    fn settlement(&self) -> Settlement {
        Settlement::new(
            &self.connection,
            &self.lease,
            self.secret.generation,
            self.generation,
            self.tokens.clock.now(),
        )
    }

    fn draft(&self, kind: EventKind, outcome: Outcome) -> EventDraft {
        let draft = draft(self.tokens, &self.connection, self.workload.as_ref(), kind, outcome);
        of_call(draft, self.secret.generation, self.lease.epoch)
    }
}

/// Room for what a provider that replaces refresh tokens will give, or it is not asked (RF5).
async fn room(tokens: &Tokens, rotation: Rotation) -> Result<Slot, Refusal> {
    if rotation == Rotation::None {
        return Ok(Slot::none());
    }
    tokens.spool.reserve().await.map_err(Refusal::from)
}

/// Says which call it is about: the generation of the refresh token that it sends, and the epoch of the lease it is made under, which a
/// connection has once. By these the rows of one refresh are found, whoever wrote them.
pub(super) fn of_call(mut draft: EventDraft, sent: i64, lease_epoch: i64) -> EventDraft {
    draft.detail.insert("sent", sent.into());
    draft.detail.insert("lease", lease_epoch.into());
    draft
}

pub(super) fn draft(
    tokens: &Tokens,
    connection: &Connection,
    workload: Option<&WorkloadId>,
    kind: EventKind,
    outcome: Outcome,
) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(&*tokens.rng), kind, outcome);
    if let Owner::Subject(subject) = &connection.owner {
        draft = draft.about(subject);
    }
    draft.tenant = Some(connection.owner.tenant().clone());
    draft.workload = workload.cloned();
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft
}

impl Lease {
    /// Gives it back.
    pub(super) fn given_back(
        &self,
        connection: &crate::domain::ConnectionId,
        rest: Option<Duration>,
        last_error: &str,
        while_stored: Option<i64>,
    ) -> Write {
        Write::SettleLease(SettleLease {
            connection: connection.clone(),
            owner: self.owner.clone(),
            epoch: self.epoch,
            rest,
            last_error: last_error.to_owned(),
            while_stored,
        })
    }
}
