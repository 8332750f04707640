//! Disconnect: the local effect is immediate and recorded; the provider is told, durably retried, truthfully reported (RV1, RV2, RV8).

use super::{
    Call, Rooms,
    retry_revocations::Told,
    tell_provider::{Holder, Token, tell_provider},
};
use crate::domain::{
    Connection, ConnectionState, Entry, EventDraft, EventKind, Outcome, Quarantined, Reason, Refusal,
    RuleKind, SecretKind, SecretRow, Target, Timestamp, TokenHolder, Write,
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
        // They waited for grants to end, which end now.
        Write::HastenProviderRevocations { connection: ended.id.clone(), due_at: rooms.clock.now() },
    ];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, call.deadline).await?;
    // The revoke is committed: whatever goes wrong from here on, it stands, and the worker goes on.
    Ok(tell_of_connection(rooms, &ended, 0).await.unwrap_or_else(|refusal| {
        tracing::warn!(reason = refusal.reason.as_str(), "the provider could not be told of a revoke yet");
        Disconnected { at_provider: AtProvider::FailedWillRetry, outstanding_until: None, never_ends: true }
    }))
}

/// Revokes a connection's tokens at its provider after `attempts` earlier ones, and records what came of it.
///
/// # Errors
/// The store's and the audit log's.
pub(super) async fn tell_of_connection(
    rooms: &Rooms,
    connection: &Connection,
    attempts: i64,
) -> Result<Disconnected, Refusal> {
    // A refresh under way is waited for: what it brings is to be revoked too.
    let _turn = rooms.tokens.turn(&connection.id).await;
    let key = rooms.row_key();
    let mut unreadable = false;
    let mut rows: Vec<SecretRow> = Vec::new();
    for found in rooms.store.connections.secrets(&connection.id).await? {
        match found.map_err(Quarantined::from).and_then(|tagged| tagged.check(&key)) {
            Ok(row) => rows.push(row),
            // What cannot be read or fails its check cannot be opened, so it cannot be revoked: it is left to end by itself.
            Err(_) => unreadable = true,
        }
    }
    rows.sort_by_key(|row| row.kind == SecretKind::Access);
    let tokens: Vec<Token<'_>> = rows.iter().map(|row| Token::Stored(connection, row)).collect();
    let mut at_provider = tell_provider(rooms, &tokens).await;
    if unreadable && at_provider == AtProvider::Revoked {
        at_provider = AtProvider::Unsupported;
    }
    record_result(rooms, connection, at_provider, attempts).await?;
    let told = at_provider == AtProvider::Revoked;
    let handed_out = rows.iter().filter(|row| row.kind == SecretKind::Access && !told);
    let never_ends = handed_out.clone().any(|row| row.expires_at.is_none());
    let outstanding_until = if never_ends { None } else { handed_out.filter_map(|row| row.expires_at).max() };
    Ok(Disconnected { at_provider, outstanding_until, never_ends })
}

async fn record_result(
    rooms: &Rooms,
    connection: &Connection,
    at_provider: AtProvider,
    attempts: i64,
) -> Result<(), Refusal> {
    let told = Told::at(rooms, at_provider, attempts);
    let draft = Holder::Connection(connection).draft(rooms, EventKind::ProviderRevoked, told.outcome());
    let mut effect = Vec::new();
    if told.is_over() {
        effect.push(Write::DeleteSecrets(connection.id.clone()));
    }
    told.record(rooms, draft, TokenHolder::Connection(connection.id.clone()), effect).await
}
