//! Disconnect: the local effect is immediate and recorded; the provider is told, durably retried, truthfully reported (RV1, RV2, RV8).

use super::{Call, Rooms, retry_revocations::Told};
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Kind, Outcome,
        Owner, Reason, RefreshToken, Refusal, RuleKind, Sealed, SecretKind, SecretRow, Target, Timestamp,
        TokenHolder, Write,
    },
    policy::RevokeAtProvider,
    provider::Revocation,
};
use std::time::Duration;

/// When the worker takes over a revocation that its caller could not finish.
const FIRST_RETRY: Duration = Duration::from_secs(60);

/// What the provider did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtProvider {
    /// The tokens are dead there too.
    Revoked,
    /// It has no revocation endpoint.
    Unsupported,
    /// It could not be told yet; the broker goes on trying.
    FailedWillRetry,
}

impl AtProvider {
    /// As recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Unsupported => "unsupported",
            Self::FailedWillRetry => "failed_will_retry",
        }
    }
}

/// The truth about a disconnect.
#[derive(Debug)]
pub struct Disconnected {
    /// What the provider did.
    pub at_provider: AtProvider,
    /// Until when tokens already handed out may work; `None` = they are dead, or see `never_ends`.
    pub outstanding_until: Option<Timestamp>,
    /// A token handed out may work on without end: it has none, and the provider was not told.
    pub never_ends: bool,
}

/// Ends a connection. `draft` says who did it.
///
/// # Errors
/// [`Reason::Conflict`] when it is over already; the store's. With the database down this is never Ok (RV4).
pub async fn revoke_connection(
    rooms: &Rooms,
    call: &Call,
    connection: Connection,
    mut draft: EventDraft,
) -> Result<Disconnected, Refusal> {
    if connection.state == ConnectionState::Revoked {
        return Err(Refusal::because(Reason::Conflict, "This connection has ended already."));
    }
    draft.kind = EventKind::ConnectionRevoked;
    draft.outcome = Outcome::Allowed;
    draft.connection = Some(connection.id.clone());
    draft.provider = Some(connection.provider.clone());
    let expected_version = connection.version;
    let ended = Connection { state: ConnectionState::Revoked, version: expected_version + 1, ..connection };
    let effect = vec![
        Write::UpdateConnection { row: rooms.row_key().tag(ended.clone()), expected_version },
        Write::AddRule { kind: RuleKind::Revoke, target: Target::Connection(ended.id.clone()) },
        // Due later: this call tells the provider itself, and the worker takes over if it cannot.
        Write::QueueProviderRevocation {
            holder: TokenHolder::Connection(ended.id.clone()),
            due_at: rooms.clock.now().plus(FIRST_RETRY),
        },
    ];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, call.deadline).await?;
    // The revoke is committed: whatever goes wrong from here on, it stands, and the worker goes on.
    Ok(tell_provider(rooms, &ended, 0).await.unwrap_or_else(|refusal| {
        tracing::warn!(reason = refusal.reason.as_str(), "the provider could not be told of a revoke yet");
        Disconnected { at_provider: AtProvider::FailedWillRetry, outstanding_until: None, never_ends: true }
    }))
}

/// Revokes a connection's tokens at its provider and records what came of it.
///
/// # Errors
/// The store's and the audit log's.
pub async fn tell_provider(
    rooms: &Rooms,
    connection: &Connection,
    attempts: i64,
) -> Result<Disconnected, Refusal> {
    // A refresh under way is waited for: what it brings is to be revoked too.
    let _turn = rooms.tokens.turn(&connection.id).await;
    let key = rooms.row_key();
    let mut unreadable = false;
    let mut rows: Vec<SecretRow> = Vec::new();
    for tagged in rooms.store.connections.secrets(&connection.id).await? {
        match tagged.check(&key) {
            Ok(row) => rows.push(row),
            // What fails its check cannot be opened, so it cannot be revoked: it is left to end by itself.
            Err(_) => unreadable = true,
        }
    }
    rows.sort_by_key(|row| row.kind == SecretKind::Access);
    let mut at_provider = AtProvider::Revoked;
    for row in &rows {
        let told = match row.kind {
            SecretKind::Refresh => tell_one::<RefreshToken>(rooms, connection, row).await,
            SecretKind::Access => tell_one::<AccessToken>(rooms, connection, row).await,
        };
        match told {
            Ok(Revocation::Revoked) => {}
            Ok(Revocation::Unsupported) => at_provider = AtProvider::Unsupported,
            Err(refusal) => {
                tracing::warn!(reason = refusal.reason.as_str(), connection = %connection.id, "revocation at the provider failed");
                at_provider = AtProvider::FailedWillRetry;
                break;
            }
        }
    }
    if unreadable && at_provider == AtProvider::Revoked {
        at_provider = AtProvider::Unsupported;
    }
    record_result(rooms, connection, at_provider, attempts + 1).await?;
    let told = at_provider == AtProvider::Revoked;
    let handed_out = rows.iter().filter(|row| row.kind == SecretKind::Access && !told);
    let never_ends = handed_out.clone().any(|row| row.expires_at.is_none());
    let outstanding_until = if never_ends { None } else { handed_out.filter_map(|row| row.expires_at).max() };
    Ok(Disconnected { at_provider, outstanding_until, never_ends })
}

async fn tell_one<K: Kind>(
    rooms: &Rooms,
    connection: &Connection,
    row: &SecretRow,
) -> Result<Revocation, Refusal> {
    let spec = rooms.provider(&connection.provider)?;
    let permit = rooms.policy.revoke_at_provider::<K>(connection, row)?;
    let draft = own_draft(rooms, connection, EventKind::ProviderRevokeIntent, Outcome::Allowed);
    let proof =
        rooms.audit.record::<RevokeAtProvider<K>>(permit, Entry::note(draft), Deadline::none()).await?;
    let opened = rooms.vault.open(proof, &Sealed::<K>::from_envelope(row.envelope.clone())).await?;
    Ok(rooms.engine.revoke(spec, opened).await?)
}

async fn record_result(
    rooms: &Rooms,
    connection: &Connection,
    at_provider: AtProvider,
    attempts: i64,
) -> Result<(), Refusal> {
    let told = Told::at(rooms, at_provider, attempts);
    let draft = own_draft(rooms, connection, EventKind::ProviderRevoked, told.outcome());
    let mut effect = vec![told.reschedule(TokenHolder::Connection(connection.id.clone()))];
    if told.is_over() {
        effect.push(Write::DeleteSecrets(connection.id.clone()));
    }
    told.record(rooms, draft, effect).await
}

fn own_draft(rooms: &Rooms, connection: &Connection, kind: EventKind, outcome: Outcome) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(&*rooms.rng), kind, outcome);
    if let Owner::Subject(subject) = &connection.owner {
        draft = draft.about(subject);
    }
    draft.tenant = Some(connection.owner.tenant().clone());
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft
}
