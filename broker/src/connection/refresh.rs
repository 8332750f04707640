//! One refresh: lease and intent in one commit, the call, and the settlement before anything else (design §7).

use super::{
    settlement::{Lease, latch, release, rescue, settle_failure, settle_success},
    tokens::{Tokens, Wanting},
};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Names, Outcome, Owner,
        ProviderSpec, Quarantined, Reason, RefreshState, RefreshToken, Refusal, ScopeSet, Sealed, SecretKind,
        SecretRow, WorkloadId, Write,
    },
    policy::{Grounds, Permit, Refresh},
    provider::{ProviderError, TokenSet},
};
use std::time::Duration;

/// How long a lease holds: longer than the HTTP deadline, so that a successor after a crash waits out the call (RF7).
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// How long a refused client or a silent provider is left alone (RF9).
const COOLDOWN: Duration = Duration::from_secs(10);

/// What came of a refresh.
pub(super) enum RefreshOutcome {
    /// New tokens are stored; this is the access token.
    Stored(Box<SecretRow>),
    /// The provider ended the grant: the owner must connect again.
    ReauthRequired,
    /// Another replica was quicker to take the lease.
    Elsewhere,
}

/// What is to be done about a token that ran out.
pub(super) enum Prepared {
    /// This.
    Refresh(Box<Refreshing>),
    /// Nothing: another replica has the lease for so long still. It may also have died with it (RF7).
    Elsewhere(Duration),
}

/// A refresh that is decided and about to be recorded.
pub(super) struct Refreshing {
    connection: Connection,
    state: RefreshState,
    secret: SecretRow,
    /// Larger than that of any value the connection ever had.
    generation: i64,
    spec: ProviderSpec,
    narrow_to: Option<ScopeSet>,
    permit: Permit<Refresh>,
    workload: WorkloadId,
    names: Names,
    epoch: i64,
}

impl Refreshing {
    /// Reads what is needed and asks policy.
    ///
    /// # Errors
    /// The store's; a cooldown; a policy denial; [`Reason::ProviderGrantRejected`] when there is nothing to refresh with
    /// any more.
    pub(super) async fn prepare(
        tokens: &Tokens,
        wanting: &Wanting<'_>,
        narrow_to: Option<ScopeSet>,
    ) -> Result<Prepared, Refusal> {
        let id = &wanting.connection.id;
        let key = tokens.keys.row_key();
        let stored = tokens.store.connections.by_id(wanting.connection.owner.tenant(), id).await?;
        let stored = stored.ok_or_else(|| Refusal::new(Reason::NotFound))?;
        let connection = stored.row.check(&key)?;
        if connection.state == ConnectionState::ReauthRequired {
            return Err(Refusal::new(Reason::ProviderGrantRejected));
        }
        let now = tokens.clock.now();
        if let Some(until) = stored.refresh.cooldown_until.filter(|until| *until > now) {
            return Err(cooling(&stored.refresh, until.since(now)));
        }
        // Somebody holds the lease, or died with it: their call may still be under way (RF7).
        if let Some(until) = stored.refresh.lease_until.filter(|until| *until > now) {
            return Ok(Prepared::Elsewhere(until.since(now)));
        }
        // Only the client that minted a token refreshes it (PR7); an operator changed the configuration.
        if connection.client_id != wanting.spec.client.id {
            tracing::error!(provider = %connection.provider, "a connection was made with another OAuth client; its owner must connect again");
            return Err(Refusal::new(Reason::ProviderClientRejected));
        }
        let mut secret = None;
        let mut generation = 0;
        for found in tokens.store.connections.secrets(id).await? {
            let row = found.map_err(Quarantined::from)?.check(&key)?;
            generation = generation.max(row.generation);
            if row.kind == SecretKind::Refresh {
                secret = Some(row);
            }
        }
        let secret = secret.ok_or_else(|| Refusal::new(Reason::ProviderGrantRejected))?;
        let permit = tokens.policy.refresh(&connection, &secret, Grounds::Issuance(wanting.verdict))?;
        let names = Names { workload: None, approval: None, ..wanting.names.clone() };
        Ok(Prepared::Refresh(Box::new(Self {
            state: stored.refresh,
            secret,
            generation: generation + 1,
            spec: wanting.spec.clone(),
            narrow_to,
            permit,
            workload: wanting.approval.workload.clone(),
            names,
            epoch: wanting.epoch,
            connection,
        })))
    }

    /// Records the intent, calls the provider, settles.
    ///
    /// # Errors
    /// What the log, the vault or the provider refused.
    pub(super) async fn run(self, tokens: &Tokens) -> Result<RefreshOutcome, Refusal> {
        let Self { connection, state, secret, generation, spec, narrow_to, permit, workload, names, epoch } =
            self;
        let until = tokens.clock.now().plus(LEASE);
        let draft = |kind, outcome| draft(tokens, &connection, &workload, kind, outcome);
        let mut intent = draft(EventKind::RefreshIntent, Outcome::Allowed);
        intent.scopes_asked = narrow_to.clone().unwrap_or_else(|| connection.scopes.clone());
        let owner = format!("{}/{}", tokens.replica, intent.id);
        let lease = Lease { owner, epoch: state.lease_epoch + 1, until };
        let take = Write::TakeLease {
            connection: connection.id.clone(),
            owner: lease.owner.clone(),
            expected_epoch: state.lease_epoch,
            until,
        };
        let entry = Entry { names, epoch, effect: vec![take], ..Entry::note(intent) };
        // Not until the caller's end: a lease that is committed after it would be nobody's, and keep everybody waiting.
        let proof = match tokens.audit.record(permit, entry, Deadline::none()).await {
            Err(Refused::NotApplied) => return Ok(RefreshOutcome::Elsewhere),
            Err(Refused::Unavailable) => {
                // It may be there all the same. If it is not, this changes nothing.
                let mut failed = draft(EventKind::RefreshFailed, Outcome::Failed);
                failed.reason = Some(Reason::AuditUnavailable);
                let effect = vec![release(&connection, &lease, None, Reason::AuditUnavailable.as_str())];
                tokens.note_detached(Entry { effect, settlement: true, ..Entry::note(failed) });
                return Err(Refused::Unavailable.into());
            }
            recorded => recorded?,
        };
        let sealed = Sealed::<RefreshToken>::from_envelope(secret.envelope.clone());
        let opened = match tokens.vault.open(proof, &sealed).await {
            Ok(opened) => opened,
            Err(error) => {
                let refusal = Refusal::from(error);
                let failed = draft(EventKind::RefreshFailed, Outcome::Failed);
                settle_failure(tokens, &connection, &lease, failed, refusal.reason, None).await?;
                return Err(refusal);
            }
        };
        // What the refresh token itself carries, which a step-up that brought no new one leaves behind.
        let held = &secret.scopes;
        match tokens.engine.refresh(&spec, opened, narrow_to.as_ref(), held).await {
            Ok(set) => {
                let stored = draft(EventKind::RefreshStored, Outcome::Allowed);
                settle_success(
                    tokens,
                    &connection,
                    held,
                    &lease,
                    stored,
                    without_technical(set, &spec),
                    generation,
                )
                .await
            }
            Err(error) if error.is_terminal() => {
                let latched = draft(EventKind::ConnectionLatched, Outcome::Failed);
                latch(tokens, connection, &lease, latched).await?;
                Ok(RefreshOutcome::ReauthRequired)
            }
            Err(error) => {
                let rescued =
                    if let ProviderError::Protocol { rescued, .. } = &error { rescued.clone() } else { None };
                if let Some(token) = rescued {
                    rescue(tokens, &connection, held, token, generation, until).await?;
                }
                let refusal = Refusal::from(error);
                let failed = draft(EventKind::RefreshFailed, Outcome::Failed);
                // Scopes that one server may not have are no reason to keep the others waiting.
                if refusal.reason == Reason::ScopeUnknown {
                    settle_failure(tokens, &connection, &lease, failed, refusal.reason, None).await?;
                    return Err(refusal);
                }
                // A provider that says "at once" is asked again, but not in a loop (RF9).
                let rest = refusal.retry_after.unwrap_or(COOLDOWN).max(Duration::from_secs(1));
                let cooldown = tokens.clock.now().plus(rest);
                settle_failure(tokens, &connection, &lease, failed, refusal.reason, Some(cooldown)).await?;
                Err(refusal.retry_after(rest))
            }
        }
    }
}

/// Technical scopes such as `offline_access` are no part of what a token is said to do.
fn without_technical(set: TokenSet, spec: &ProviderSpec) -> TokenSet {
    TokenSet { scopes: set.scopes.minus(&spec.technical_scopes), ..set }
}

fn cooling(state: &RefreshState, rest: Duration) -> Refusal {
    let reason = Reason::parse(&state.last_error).unwrap_or(Reason::ProviderUnavailable);
    Refusal::new(reason).retry_after(rest)
}

fn draft(
    tokens: &Tokens,
    connection: &Connection,
    workload: &WorkloadId,
    kind: EventKind,
    outcome: Outcome,
) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(&*tokens.rng), kind, outcome);
    if let Owner::Subject(subject) = &connection.owner {
        draft = draft.about(subject);
    }
    draft.tenant = Some(connection.owner.tenant().clone());
    draft.workload = Some(workload.clone());
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft
}
