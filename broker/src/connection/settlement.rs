//! After the call: what came back is stored before anything else is looked at, and the lease is given back (RF4).

use super::{
    failure::release_alone,
    late::{Fate, store_late},
    spool::{Record, Refreshed, Slot, Token},
    tokens::Tokens,
};
use crate::{
    audit::{Deadline, Refused},
    crash::crash_point,
    domain::{
        AccessToken, Connection, ConnectionId, Entry, EventDraft, EventId, ProviderSpec, Reason,
        RefreshToken, Refusal, ScopeSet, SecretKind, SecretRow, SecretString, TenantId, Timestamp, Write,
        ledger::SettleLease, provider::Rotation,
    },
    vault::Sealer,
};
use std::time::Duration;

/// A lease that was taken, or may have been.
pub(super) struct Lease {
    /// Names one refresh of one replica, so that nobody gives back what another has.
    pub(super) owner: String,
    pub(super) epoch: i64,
    /// When the holder's share of it is over, on its own monotonic clock.
    pub(super) ends: Duration,
}

/// What a refresh brought, sealed, and how to store it.
pub(super) struct Settlement {
    pub(super) tenant: TenantId,
    pub(super) connection: ConnectionId,
    pub(super) lease_owner: String,
    pub(super) lease_epoch: i64,
    /// The generation of the refresh token that was sent.
    pub(super) sent: i64,
    pub(super) generation: i64,
    pub(super) access: Option<SecretRow>,
    pub(super) refresh: Option<SecretRow>,
    /// How long the connection is left alone afterwards, and why.
    pub(super) after: (Option<Duration>, &'static str),
    now: Timestamp,
}

impl Settlement {
    pub(super) fn new(
        connection: &Connection,
        lease: &Lease,
        sent: i64,
        generation: i64,
        now: Timestamp,
    ) -> Self {
        Self {
            tenant: connection.owner.tenant().clone(),
            connection: connection.id.clone(),
            lease_owner: lease.owner.clone(),
            lease_epoch: lease.epoch,
            sent,
            generation,
            access: None,
            refresh: None,
            after: (None, ""),
            now,
        }
    }

    pub(super) fn seal_access(
        &mut self,
        sealer: &Sealer,
        connection: &Connection,
        scopes: ScopeSet,
        token: &SecretString,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let sealed = sealer.seal::<AccessToken>(&connection.access_key(&scopes, self.generation), token)?;
        self.access = Some(self.row(SecretKind::Access, scopes, sealed.envelope(), expires_at));
        Ok(())
    }

    pub(super) fn seal_refresh(
        &mut self,
        sealer: &Sealer,
        connection: &Connection,
        held: &ScopeSet,
        token: &SecretString,
        spec: &ProviderSpec,
    ) -> Result<(), Refusal> {
        let sealed = sealer.seal::<RefreshToken>(&connection.refresh_key(self.generation), token)?;
        let expires_at = spec.idle_limit.map(|limit| self.now.plus(limit));
        self.refresh = Some(self.row(SecretKind::Refresh, held.clone(), sealed.envelope(), expires_at));
        Ok(())
    }

    fn row(
        &self,
        kind: SecretKind,
        scopes: ScopeSet,
        envelope: &[u8],
        expires_at: Option<Timestamp>,
    ) -> SecretRow {
        let (connection, generation) = (self.connection.clone(), self.generation);
        SecretRow {
            connection,
            kind,
            scopes,
            generation,
            envelope: envelope.into(),
            expires_at,
            obtained_at: self.now,
        }
    }

    /// The tokens, and that the provider is told of them if the connection has ended meanwhile.
    fn tokens(&self, tokens: &Tokens) -> Vec<Write> {
        self.put(tokens, self.access.as_ref())
    }

    /// The same beside the tokens that are stored by now: an access token that came no earlier than this one stays.
    pub(super) fn tokens_beside(&self, tokens: &Tokens, stored: &[SecretRow]) -> Vec<Write> {
        let newer = |access: &&SecretRow| {
            stored.iter().any(|row| {
                row.kind == SecretKind::Access
                    && row.scope_key() == access.scope_key()
                    && row.generation >= access.generation
            })
        };
        self.put(tokens, self.access.as_ref().filter(|access| !newer(access)))
    }

    fn put(&self, tokens: &Tokens, access: Option<&SecretRow>) -> Vec<Write> {
        let key = tokens.keys.row_key();
        let rows = [access, self.refresh.as_ref()].into_iter().flatten();
        let mut effect: Vec<Write> = rows.map(|row| Write::PutSecret(key.tag(row.clone()))).collect();
        let due_at = tokens.clock.now();
        effect.push(Write::QueueIfRevoked { connection: self.connection.clone(), due_at });
        effect
    }

    /// The same under the lease, which is given back.
    fn under_lease(&self, tokens: &Tokens) -> Vec<Write> {
        // First, and only while the token that was sent is the stored one: its person may have connected anew, and an access token of
        // the earlier authorization would take the place of the new one's.
        let settle = Write::SettleLease(SettleLease {
            connection: self.connection.clone(),
            owner: self.lease_owner.clone(),
            epoch: self.lease_epoch,
            rest: self.after.0,
            last_error: self.after.1.to_owned(),
            while_stored: Some(self.sent),
        });
        let mut effect = vec![settle];
        effect.extend(self.tokens(tokens));
        effect
    }

    /// Every token, the refresh token first.
    pub(super) fn rows(self) -> Vec<SecretRow> {
        [self.refresh, self.access].into_iter().flatten().collect()
    }

    fn record(&self, outlived: bool) -> Record {
        let token = |row: &SecretRow| {
            let expires_at = row.expires_at.map(Timestamp::micros);
            Token::new(row.scopes.canonical(), &row.envelope, expires_at, row.obtained_at.micros())
        };
        Record::Refresh(Refreshed {
            tenant: self.tenant.as_str().to_owned(),
            connection: self.connection.as_str().to_owned(),
            lease_owner: self.lease_owner.clone(),
            lease_epoch: self.lease_epoch,
            sent: self.sent,
            generation: self.generation,
            access: self.access.as_ref().map(token),
            refresh: self.refresh.as_ref().map(token),
            outlived,
        })
    }

    /// What was kept; `None` for what no broker wrote.
    pub(super) fn of_record(record: &Refreshed) -> Option<Self> {
        let connection = ConnectionId::parse(&record.connection).ok()?;
        let row = |kind, token: &Token| {
            Some(SecretRow {
                connection: connection.clone(),
                kind,
                scopes: ScopeSet::from_stored(&token.scopes).ok()?,
                generation: record.generation,
                envelope: token.envelope()?.into(),
                expires_at: token.expires_at.map(Timestamp::from_micros),
                obtained_at: Timestamp::from_micros(token.obtained_at),
            })
        };
        let rows = |kind, token: &Option<Token>| match token {
            Some(token) => row(kind, token).map(Some),
            None => Some(None),
        };
        let (access, refresh) =
            (rows(SecretKind::Access, &record.access)?, rows(SecretKind::Refresh, &record.refresh)?);
        Some(Self {
            tenant: TenantId::parse(&record.tenant).ok()?,
            lease_owner: record.lease_owner.clone(),
            lease_epoch: record.lease_epoch,
            sent: record.sent,
            generation: record.generation,
            now: access.as_ref().or(refresh.as_ref())?.obtained_at,
            access,
            refresh,
            after: (None, ""),
            connection,
        })
    }
}

/// Stores it: kept in the spool first where the provider has forgotten the old token, then tried until the lease ends. What cannot be
/// stored by then stays in the spool, and is stored from there.
///
/// # Errors
/// What kept it from being stored.
pub(super) async fn settle(
    tokens: &Tokens,
    settlement: Settlement,
    draft: EventDraft,
    mut slot: Slot,
    lease: &Lease,
    rotation: Rotation,
) -> Result<(), Refusal> {
    if settlement.refresh.is_some() {
        if let Err(error) = slot.keep(&settlement.record(false)).await {
            tracing::error!(%error, "a refreshed token could not be kept in the spool");
        }
        crash_point!(tokens.points, "refresh.spooled");
    }
    match persist(tokens, &settlement, draft, lease, rotation).await {
        Ok(None) => {
            crash_point!(tokens.points, "refresh.committed");
            slot.discharge().await;
            crash_point!(tokens.points, "refresh.discharged");
            Ok(())
        }
        // Another token is newer, and this one is good for nothing.
        Ok(Some(newer)) => {
            match newer {
                // The entry stays, and whoever drains the spool sees to the rest.
                Newer::Authorization if slot.is_kept() => {
                    if let Err(error) = slot.keep(&settlement.record(true)).await {
                        tracing::error!(%error, "an entry of the spool could not be amended");
                    }
                }
                Newer::Authorization => {
                    tracing::warn!(connection = %settlement.connection, "tokens were outlived and dropped: there is no spool")
                }
                Newer::Refresh => slot.discharge().await,
            }
            release_alone(tokens, &settlement, Reason::Conflict).await?;
            Err(Refusal::new(Reason::ProviderUnavailable).retry_after(Duration::from_secs(1)))
        }
        Err(refusal) if slot.is_kept() => {
            tracing::warn!(reason = refusal.reason.as_str(), "refreshed tokens wait in the spool");
            Err(refusal)
        }
        Err(refusal) => {
            tracing::error!(reason = refusal.reason.as_str(), "refreshed tokens could not be stored");
            // So that nobody waits for the lease to end.
            release_alone(tokens, &settlement, refusal.reason).await?;
            Err(refusal)
        }
    }
}

/// What is stored in the place of what came.
enum Newer {
    /// Another refresh's.
    Refresh,
    /// Its person's, who has connected anew.
    Authorization,
}

/// Tries until the lease ends: the provider has already forgotten the old token. `Some` = something newer is there, and stays.
async fn persist(
    tokens: &Tokens,
    settlement: &Settlement,
    mut draft: EventDraft,
    lease: &Lease,
    rotation: Rotation,
) -> Result<Option<Newer>, Refusal> {
    let mut pause = Duration::from_millis(50);
    loop {
        let effect = settlement.under_lease(tokens);
        let entry = Entry { effect, settlement: true, ..Entry::note(draft.clone()) };
        let refusal = match tokens.audit.note(entry, Deadline::none()).await {
            Ok(_) => return Ok(None),
            // Committed by an earlier try whose answer was lost; or the lease is over, and this is stored in its own right or not at all.
            Err(Refused::NotApplied) => match store_late(tokens, settlement, rotation).await {
                Ok(Fate::Stored) => return Ok(None),
                Ok(Fate::Superseded) => return Ok(Some(Newer::Refresh)),
                Ok(Fate::Outlived) => return Ok(Some(Newer::Authorization)),
                Ok(Fate::Held) => Refusal::new(Reason::StoreUnavailable),
                Err(refusal) => refusal,
            },
            Err(refused) => Refusal::from(refused),
        };
        if !is_passing(refusal.reason) || tokens.clock.monotonic() >= lease.ends {
            return Err(refusal);
        }
        // Each try is an event of its own.
        draft.id = EventId::random(&*tokens.rng);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Whether trying again may help.
pub(super) fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AuditUnavailable
            | Reason::StoreUnavailable
            | Reason::DeadlineExceeded
            | Reason::KeyUnavailable
            | Reason::Overloaded
    )
}
