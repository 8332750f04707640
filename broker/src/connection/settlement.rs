//! After the call: what came back is stored before anything else is looked at, and the lease is given back (RF4).

use super::{refresh::RefreshOutcome, tokens::Tokens};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        AccessToken, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Outcome, Reason,
        RefreshToken, Refusal, ScopeSet, SecretKind, SecretRow, SecretString, Timestamp, Write,
    },
    provider::TokenSet,
};
use std::{sync::Arc, time::Duration};

/// An answer that cannot be used may still carry the only refresh token that works from now on (RF4).
pub(super) async fn rescue(
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
    let effect = vec![row, also_ended(tokens, connection)];
    let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
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
    let sealed = tokens
        .vault
        .seal_patiently::<RefreshToken>(&connection.refresh_key(generation), token, until)
        .await?;
    Ok(Write::PutSecret(tokens.keys.row_key().tag(SecretRow {
        connection: connection.id.clone(),
        kind: SecretKind::Refresh,
        scopes: held.clone(),
        generation,
        envelope: sealed.envelope().into(),
        expires_at: None,
        obtained_at: tokens.clock.now(),
    })))
}

/// What came to a connection that another replica has revoked meanwhile, and told the provider of what was there before: it is told
/// of this too.
fn also_ended(tokens: &Tokens, connection: &Connection) -> Write {
    Write::QueueIfRevoked { connection: connection.id.clone(), due_at: tokens.clock.now() }
}

/// A lease that was taken, or may have been.
pub(super) struct Lease {
    /// Names one refresh of one replica, so that nobody gives back what another has.
    pub(super) owner: String,
    pub(super) epoch: i64,
    pub(super) until: Timestamp,
}

/// Stores what came back before looking at anything else (RF4): the access and the refresh token in one commit.
pub(super) async fn settle_success(
    tokens: &Tokens,
    connection: &Connection,
    held: &ScopeSet,
    lease: &Lease,
    mut draft: EventDraft,
    set: TokenSet,
    generation: i64,
) -> Result<RefreshOutcome, Refusal> {
    let now = tokens.clock.now();
    let key = tokens.keys.row_key();
    let access_key = connection.access_key(&set.scopes, generation);
    let access = tokens.vault.seal_patiently::<AccessToken>(&access_key, set.access, lease.until).await?;
    let access = SecretRow {
        connection: connection.id.clone(),
        kind: SecretKind::Access,
        scopes: set.scopes.clone(),
        generation,
        envelope: access.envelope().into(),
        expires_at: set.access_expires_at,
        obtained_at: now,
    };
    let mut effect = vec![Write::PutSecret(key.tag(access.clone()))];
    // No refresh token in the answer keeps the old one (RF7).
    let rotated = set.refresh.is_some();
    if let Some(refresh) = set.refresh {
        effect.push(refresh_row(tokens, connection, held, refresh, generation, lease.until).await?);
    }
    effect.push(also_ended(tokens, connection));
    effect.push(release(connection, lease, None, ""));
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
        settle_failure(tokens, connection, lease, failed, refusal.reason, None).await?;
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
    let stored: Vec<Arc<[u8]>> =
        stored.into_iter().flatten().map(|tagged| tagged.unverified().envelope).collect();
    entry.effect.iter().all(|write| match write {
        Write::PutSecret(row) => stored.contains(&row.clone().unverified().envelope),
        _ => true,
    })
}

pub(super) async fn settle_failure(
    tokens: &Tokens,
    connection: &Connection,
    lease: &Lease,
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
    let effect = vec![release(connection, lease, cooldown, kept.as_str())];
    tokens.audit.note(Entry { effect, settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(())
}

/// The provider's word is final only if nobody replaced the refresh token meanwhile: the lease and the version say so (RF6).
pub(super) async fn latch(
    tokens: &Tokens,
    connection: Connection,
    lease: &Lease,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    draft.reason = Some(Reason::ProviderGrantRejected);
    let row_names = (connection.provider.clone(), connection.id.clone());
    let freed = release(&connection, lease, None, "");
    let expected_version = connection.version;
    let release = release(&connection, lease, None, Reason::ProviderGrantRejected.as_str());
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

pub(super) fn release(
    connection: &Connection,
    lease: &Lease,
    cooldown_until: Option<Timestamp>,
    last_error: &str,
) -> Write {
    Write::SettleLease {
        connection: connection.id.clone(),
        owner: lease.owner.clone(),
        epoch: lease.epoch,
        cooldown_until,
        last_error: last_error.to_owned(),
    }
}
