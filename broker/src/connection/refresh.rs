//! One refresh: lease and intent in one commit, the call, and the settlement before anything else (design §7).

use super::tokens::{Tokens, Wanting};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        AccessToken, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Kind, Names,
        Outcome, Owner, ProviderSpec, Reason, RecordKey, RefreshState, RefreshToken, Refusal, ScopeSet,
        Sealed, SecretKind, SecretRow, SecretString, Timestamp, WorkloadId, Write,
    },
    policy::{Grounds, Permit, Refresh},
    provider::{ProviderError, TokenSet},
};
use std::time::Duration;

/// How long a lease holds: longer than the HTTP deadline, so that a successor after a crash waits out the call (RF7).
const LEASE: Duration = Duration::from_secs(60);
/// How long a refused client or a silent provider is left alone (RF9).
const COOLDOWN: Duration = Duration::from_secs(10);

/// What came of a refresh.
pub(super) enum RefreshOutcome {
    /// New tokens are stored; this is the access token.
    Stored(Box<SecretRow>),
    /// The provider ended the grant: the owner must connect again.
    ReauthRequired,
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
    deadline: Deadline,
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
    ) -> Result<Self, Refusal> {
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
            return Err(Refusal::new(Reason::ProviderUnavailable).retry_after(until.since(now)));
        }
        // Only the client that minted a token refreshes it (PR7); an operator changed the configuration.
        if connection.client_id != wanting.spec.client.id {
            tracing::error!(provider = %connection.provider, "a connection was made with another OAuth client; its owner must connect again");
            return Err(Refusal::new(Reason::ProviderClientRejected));
        }
        let mut secret = None;
        let mut generation = 0;
        for tagged in tokens.store.connections.secrets(id).await? {
            let row = tagged.check(&key)?;
            generation = generation.max(row.generation);
            if row.kind == SecretKind::Refresh {
                secret = Some(row);
            }
        }
        let secret = secret.ok_or_else(|| Refusal::new(Reason::ProviderGrantRejected))?;
        let permit = tokens.policy.refresh(&connection, &secret, Grounds::Issuance(wanting.verdict))?;
        let names = Names { workload: None, approval: None, ..wanting.names.clone() };
        Ok(Self {
            state: stored.refresh,
            secret,
            generation: generation + 1,
            spec: wanting.spec.clone(),
            narrow_to,
            permit,
            workload: wanting.approval.workload.clone(),
            names,
            epoch: wanting.epoch,
            deadline: wanting.deadline,
            connection,
        })
    }

    /// Records the intent, calls the provider, settles.
    ///
    /// # Errors
    /// What the log, the vault or the provider refused.
    pub(super) async fn run(self, tokens: &Tokens) -> Result<RefreshOutcome, Refusal> {
        let Self {
            connection,
            state,
            secret,
            generation,
            spec,
            narrow_to,
            permit,
            workload,
            names,
            epoch,
            deadline,
        } = self;
        let until = tokens.clock.now().plus(LEASE);
        let draft = |kind, outcome| draft(tokens, &connection, &workload, kind, outcome);
        let mut intent = draft(EventKind::RefreshIntent, Outcome::Allowed);
        intent.scopes_asked = narrow_to.clone().unwrap_or_else(|| connection.scopes.clone());
        let lease = Write::TakeLease {
            connection: connection.id.clone(),
            owner: tokens.replica.clone(),
            expected_epoch: state.lease_epoch,
            until,
        };
        let entry = Entry { names, epoch, effect: vec![lease], ..Entry::note(intent) };
        let proof = tokens.audit.record(permit, entry, deadline).await?;
        let lease_epoch = state.lease_epoch + 1;
        let sealed = Sealed::<RefreshToken>::from_envelope(secret.envelope.clone());
        let opened = match tokens.vault.open(proof, &sealed).await {
            Ok(opened) => opened,
            Err(error) => {
                let refusal = Refusal::from(error);
                let failed = draft(EventKind::RefreshFailed, Outcome::Failed);
                settle_failure(tokens, &connection, lease_epoch, failed, refusal.reason, None).await?;
                return Err(refusal);
            }
        };
        // What the refresh token itself carries, which a step-up that brought no new one leaves behind.
        let held = &secret.scopes;
        match tokens.engine.refresh(&spec, opened, narrow_to.as_ref(), held).await {
            Ok(set) => {
                let stored = draft(EventKind::RefreshStored, Outcome::Allowed);
                let lease = Lease { epoch: lease_epoch, until };
                settle_success(
                    tokens,
                    &connection,
                    held,
                    lease,
                    stored,
                    without_technical(set, &spec),
                    generation,
                )
                .await
            }
            Err(error) if error.is_terminal() => {
                let latched = draft(EventKind::ConnectionLatched, Outcome::Failed);
                latch(tokens, connection, lease_epoch, latched).await?;
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
                    settle_failure(tokens, &connection, lease_epoch, failed, refusal.reason, None).await?;
                    return Err(refusal);
                }
                // A provider that says "at once" is asked again, but not in a loop (RF9).
                let rest = refusal.retry_after.unwrap_or(COOLDOWN).max(Duration::from_secs(1));
                let cooldown = tokens.clock.now().plus(rest);
                settle_failure(tokens, &connection, lease_epoch, failed, refusal.reason, Some(cooldown))
                    .await?;
                Err(refusal.retry_after(rest))
            }
        }
    }
}

/// Technical scopes such as `offline_access` are no part of what a token is said to do.
fn without_technical(set: TokenSet, spec: &ProviderSpec) -> TokenSet {
    TokenSet { scopes: set.scopes.minus(&spec.technical_scopes), ..set }
}

/// An answer that cannot be used may still carry the only refresh token that works from now on (RF4).
async fn rescue(
    tokens: &Tokens,
    connection: &Connection,
    held: &ScopeSet,
    token: SecretString,
    generation: i64,
    until: Timestamp,
) -> Result<(), Refusal> {
    let row = refresh_row(tokens, connection, held, token, generation, until).await?;
    let mut draft = EventDraft::new(EventId::random(&*tokens.rng), EventKind::RefreshStored, Outcome::Failed);
    draft.tenant = Some(connection.owner.tenant().clone());
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft.reason = Some(Reason::ProviderUnavailable);
    let entry = Entry { effect: vec![row], settlement: true, ..Entry::note(draft) };
    persist(tokens, connection, entry, until).await
}

async fn refresh_row(
    tokens: &Tokens,
    connection: &Connection,
    held: &ScopeSet,
    token: SecretString,
    generation: i64,
    until: Timestamp,
) -> Result<Write, Refusal> {
    let sealed = seal::<RefreshToken>(tokens, &connection.refresh_key(generation), token, until).await?;
    Ok(Write::PutSecret(tokens.keys.row_key().tag(SecretRow {
        connection: connection.id.clone(),
        kind: SecretKind::Refresh,
        scopes: held.clone(),
        generation,
        envelope: sealed.envelope().to_vec(),
        expires_at: None,
        obtained_at: tokens.clock.now(),
    })))
}

/// Seals what came back. A key that cannot be had right now is waited for: the provider has forgotten the old token.
async fn seal<K: Kind>(
    tokens: &Tokens,
    key: &RecordKey,
    token: SecretString,
    until: Timestamp,
) -> Result<Sealed<K>, Refusal> {
    loop {
        match tokens.vault.seal::<K>(key, token.clone()).await {
            Ok(sealed) => return Ok(sealed),
            Err(error) => {
                let refusal = Refusal::from(error);
                let passing = matches!(refusal.reason, Reason::KeyUnavailable | Reason::StoreUnavailable);
                if !passing || tokens.clock.now() >= until {
                    return Err(refusal);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Lease {
    epoch: i64,
    until: Timestamp,
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

/// Stores what came back before looking at anything else (RF4): the access and the refresh token in one commit.
async fn settle_success(
    tokens: &Tokens,
    connection: &Connection,
    held: &ScopeSet,
    lease: Lease,
    mut draft: EventDraft,
    set: TokenSet,
    generation: i64,
) -> Result<RefreshOutcome, Refusal> {
    let now = tokens.clock.now();
    let key = tokens.keys.row_key();
    let access_key = connection.access_key(&set.scopes, generation);
    let access = seal::<AccessToken>(tokens, &access_key, set.access, lease.until).await?;
    let access = SecretRow {
        connection: connection.id.clone(),
        kind: SecretKind::Access,
        scopes: set.scopes.clone(),
        generation,
        envelope: access.envelope().to_vec(),
        expires_at: set.access_expires_at,
        obtained_at: now,
    };
    let mut effect = vec![Write::PutSecret(key.tag(access.clone()))];
    // No refresh token in the answer keeps the old one (RF7).
    let rotated = set.refresh.is_some();
    if let Some(refresh) = set.refresh {
        effect.push(refresh_row(tokens, connection, held, refresh, generation, lease.until).await?);
    }
    effect.push(release(connection, lease.epoch, None, ""));
    draft.scopes_granted = set.scopes;
    draft.expires_at = access.expires_at;
    draft.detail.insert("rotated", rotated.into());
    let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
    if let Err(refusal) = persist(tokens, connection, entry, lease.until).await {
        // The lease is given back on its own, so that nobody waits for it to end.
        let mut failed =
            EventDraft::new(EventId::random(&*tokens.rng), EventKind::RefreshFailed, Outcome::Failed);
        failed.tenant = Some(connection.owner.tenant().clone());
        failed.provider = Some(connection.provider.clone());
        failed.connection = Some(connection.id.clone());
        settle_failure(tokens, connection, lease.epoch, failed, refusal.reason, None).await?;
        return Err(refusal);
    }
    Ok(RefreshOutcome::Stored(Box::new(access)))
}

/// Tries until the lease ends: the provider has already forgotten the old token.
async fn persist(
    tokens: &Tokens,
    connection: &Connection,
    mut entry: Entry,
    until: Timestamp,
) -> Result<(), Refusal> {
    let mut pause = Duration::from_millis(50);
    loop {
        let refusal = match tokens.audit.note(entry.clone(), Deadline::none()).await {
            Ok(_) => return Ok(()),
            // An earlier try whose answer was lost may have been committed after all.
            Err(Refused::NotApplied) if is_stored(tokens, connection, &entry).await => return Ok(()),
            Err(refused) => Refusal::from(refused),
        };
        let passing = matches!(
            refusal.reason,
            Reason::AuditUnavailable
                | Reason::StoreUnavailable
                | Reason::DeadlineExceeded
                | Reason::KeyUnavailable
        );
        if !passing || tokens.clock.now() >= until {
            tracing::error!(reason = refusal.reason.as_str(), "refreshed tokens could not be stored");
            return Err(refusal);
        }
        // Each try is an event of its own.
        entry.draft.id = EventId::random(&*tokens.rng);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Whether the very values that `entry` stores are there; a read that fails says nothing, and the next try tells.
async fn is_stored(tokens: &Tokens, connection: &Connection, entry: &Entry) -> bool {
    let Ok(stored) = tokens.store.connections.secrets(&connection.id).await else { return false };
    let stored: Vec<Vec<u8>> = stored.into_iter().map(|tagged| tagged.unverified().envelope).collect();
    entry.effect.iter().all(|write| match write {
        Write::PutSecret(row) => stored.contains(&row.clone().unverified().envelope),
        _ => true,
    })
}

async fn settle_failure(
    tokens: &Tokens,
    connection: &Connection,
    lease_epoch: i64,
    mut draft: EventDraft,
    reason: Reason,
    cooldown: Option<Timestamp>,
) -> Result<(), Refusal> {
    draft.reason = Some(reason);
    if reason == Reason::ProviderClientRejected {
        tracing::error!(provider = %connection.provider, "the provider refuses the broker's client; connections are kept");
    }
    // "The user must act there" is no end of the grant: whoever comes within the rest is told to come back (RF6).
    let kept = if reason == Reason::ProviderGrantRejected { Reason::ProviderUnavailable } else { reason };
    let effect = vec![release(connection, lease_epoch, cooldown, kept.as_str())];
    tokens.audit.note(Entry { effect, settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(())
}

/// The provider's word is final only if nobody replaced the refresh token meanwhile: the lease and the version say so (RF6).
async fn latch(
    tokens: &Tokens,
    connection: Connection,
    lease_epoch: i64,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    draft.reason = Some(Reason::ProviderGrantRejected);
    let row_names = (connection.provider.clone(), connection.id.clone());
    let freed = release(&connection, lease_epoch, None, "");
    let expected_version = connection.version;
    let release = release(&connection, lease_epoch, None, Reason::ProviderGrantRejected.as_str());
    let row =
        Connection { state: ConnectionState::ReauthRequired, version: expected_version + 1, ..connection };
    let row = tokens.keys.row_key().tag(row);
    let effect = vec![Write::UpdateConnection { row, expected_version }, release];
    let (provider, id) = (row_names.0, row_names.1);
    let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
    match tokens.audit.note(entry, Deadline::none()).await {
        Ok(_) => Ok(()),
        // Renewed or ended meanwhile: the word was about an older token. The lease is given back on its own.
        Err(Refused::NotApplied) => {
            let mut failed =
                EventDraft::new(EventId::random(&*tokens.rng), EventKind::RefreshFailed, Outcome::Failed);
            failed.provider = Some(provider);
            failed.connection = Some(id);
            failed.reason = Some(Reason::Conflict);
            let entry = Entry { effect: vec![freed], settlement: true, ..Entry::note(failed) };
            tokens.audit.note(entry, Deadline::none()).await?;
            Err(Refusal::new(Reason::ProviderUnavailable).retry_after(Duration::from_secs(1)))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn release(
    connection: &Connection,
    epoch: i64,
    cooldown_until: Option<Timestamp>,
    last_error: &str,
) -> Write {
    Write::SettleLease {
        connection: connection.id.clone(),
        epoch,
        cooldown_until,
        last_error: last_error.to_owned(),
    }
}
