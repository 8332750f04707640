//! The person confirms the provider account: what waited sealed becomes a connection and an approval (CO11).

use super::{
    Rooms, Visitor,
    approve_consent::put_approval,
    open_consent, own,
    replaced::{Replaced, narrower, would_lose},
};
use crate::{
    connection::own_connections,
    crash::crash_point,
    domain::{
        Connection, ConnectionId, ConnectionState, Consent, ConsentState, Entry, EventKind, Outcome, Owner,
        QuarantinedRow, Reason, Refusal, RowKey, RuleKind, SecretKind, SecretRow, Target, TokenHolder, Write,
        consent::Obtained,
    },
};

use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// Confirms that the account shown is to be attached.
///
/// # Errors
/// [`Reason::NotFound`] for a foreign or unknown link; [`Reason::ConsentOtherBrowser`]; [`Reason::Conflict`] when there
/// is nothing to confirm; the store's.
pub async fn confirm_consent(rooms: &Arc<Rooms>, visitor: &Visitor, handle: &str) -> Result<(), Refusal> {
    let found = open_consent::find_by_handle(rooms, handle).await?;
    let (consent, epoch) = own(rooms, visitor, found).await?.ok_or_else(|| Refusal::new(Reason::NotFound))?;
    let ConsentState::AwaitingConfirmation { browser_hash, obtained, .. } = consent.state.clone() else {
        return Err(Refusal::new(Reason::Conflict));
    };
    if visitor.browser_hash != Some(browser_hash) {
        return Err(Refusal::new(Reason::ConsentOtherBrowser));
    }
    let mut effect = Vec::new();
    // A refresh of the same connection and this renewal must not count generations side by side.
    let _turn = same_account(rooms, &consent, &obtained).await?;
    let put = put_connection(rooms, &consent, &obtained, epoch, &mut effect).await?;
    let Some((connection, replaced)) = put else { return narrower(rooms, visitor, consent).await };
    // Fewer scopes than asked for: the approval says what there is (CO10).
    let scopes = consent.scopes.intersection(&obtained.scopes);
    let approval = put_approval(rooms, &consent, &connection, &scopes, epoch, &mut effect).await?;

    let mut names = visitor.names(&consent);
    names.connection = Some(connection.id.clone());
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentCompleted, Outcome::Allowed, &consent);
    draft.connection = Some(connection.id.clone());
    draft.approval = Some(approval);
    draft.scopes_granted = scopes;
    draft.personal.account_label = Some(connection.account.label.clone());
    draft.personal.account_id = Some(connection.account.id.clone());
    let expected_version = consent.version;
    let next = consent.confirm(connection.id, replaced.tokens)?;
    if !next.leftover.is_empty() {
        let holder = TokenHolder::Consent(next.id.clone());
        effect.push(Write::QueueProviderRevocation { holder, due_at: replaced.due_at });
    }
    effect.insert(0, Write::UpdateConsent { row: rooms.row_key().tag(next), expected_version });
    rooms.audit.note(Entry { names, epoch, effect, ..Entry::note(draft) }, visitor.call.deadline).await?;
    crash_point!(rooms.points, "consent.confirmed");
    Ok(())
}

/// The turn at the connection that will be renewed, if there is one.
async fn same_account(
    rooms: &Rooms,
    consent: &Consent,
    obtained: &Obtained,
) -> Result<Option<OwnedMutexGuard<()>>, Refusal> {
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let same = own.connections.iter().find(|(connection, _)| connection.account.id == obtained.account.id);
    Ok(match same {
        Some((connection, _)) => Some(rooms.tokens.turn(&connection.id).await),
        None => None,
    })
}

/// The person's connection for this very account, renewed, or a new one. A different account is never swapped in. `None` = the one
/// that stands carries more: that is asked of the very version that would be renewed, so that another confirmation that is committed
/// in between is either seen here or makes this one conflict (CO9).
async fn put_connection(
    rooms: &Rooms,
    consent: &Consent,
    obtained: &Obtained,
    epoch: i64,
    effect: &mut Vec<Write>,
) -> Result<Option<(Connection, Replaced)>, Refusal> {
    let key = rooms.row_key();
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let mut replaced = Replaced::none(rooms);
    let own = own_connections(&rooms.store, &key, &rules, &consent.subject, provider).await?;
    let same = own.connections.into_iter().map(|(c, _)| c).find(|c| c.account.id == obtained.account.id);
    if same.as_ref().is_some_and(|earlier| would_lose(earlier, &obtained.scopes)) {
        return Ok(None);
    }
    // A row of this account that failed its check, or that a rule has ended, would stand in the new one's way (VA9).
    let in_the_way =
        |row: &Connection| row.account.id == obtained.account.id && row.state != ConnectionState::Revoked;
    for unverified in own.unverified.into_iter().filter(in_the_way) {
        retire(rooms, unverified, effect);
    }
    for unreadable in own.unreadable {
        set_aside(unreadable, effect);
    }
    for over in own.over.into_iter().filter(in_the_way) {
        // Whoever made the rule has queued the rest.
        effect.push(end(rooms, over));
    }
    let mut generation = 0;
    let connection = match same {
        Some(earlier) => match tokens_of(rooms, &key, &earlier).await? {
            Some(rows) => {
                generation = rows.iter().map(|row| row.generation).max().unwrap_or(0);
                replaced = Replaced::of(rooms, consent, obtained, &earlier, &rows).await?;
                renew(rooms, earlier, obtained, effect)?
            }
            // A token of it failed its check: the connection is retired and replaced (VA9).
            None => {
                retire(rooms, earlier, effect);
                create(rooms, consent, obtained, epoch, effect)?
            }
        },
        None => create(rooms, consent, obtained, epoch, effect)?,
    };
    put_secrets(rooms, consent, obtained, &connection, generation + 1, effect).await?;
    Ok(Some((connection, replaced)))
}

/// Every token of a connection; `None` = one of them cannot be relied on.
async fn tokens_of(
    rooms: &Rooms,
    key: &RowKey,
    connection: &Connection,
) -> Result<Option<Vec<SecretRow>>, Refusal> {
    let mut rows = Vec::new();
    for found in rooms.store.connections.secrets(&connection.id).await? {
        // Not even readable: like one that failed its check.
        let Ok(tagged) = found else { return Ok(None) };
        match tagged.check(key) {
            Ok(row) => rows.push(row),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(rows))
}

fn renew(
    rooms: &Rooms,
    earlier: Connection,
    obtained: &Obtained,
    effect: &mut Vec<Write>,
) -> Result<Connection, Refusal> {
    if earlier.state == ConnectionState::Suspended {
        return Err(Refusal::new(Reason::Blocked).with("blocked", "connection"));
    }
    let spec = rooms.provider(&earlier.provider)?;
    let client_id = spec.client.id.clone();
    // What was given anew lasts anew.
    let lasts = || spec.absolute_limit.map(|limit| rooms.clock.now().plus(limit));
    let expires_at = if obtained.refresh.is_some() { lasts() } else { earlier.expires_at };
    // Another client's refresh token is of no use to this one (PR7).
    if obtained.refresh.is_none() && earlier.client_id != client_id {
        effect.push(Write::DeleteSecrets(earlier.id.clone()));
    }
    let expected_version = earlier.version;
    let connection = Connection {
        state: ConnectionState::Active,
        client_id,
        scopes: obtained.scopes.clone(),
        account: obtained.account.clone(),
        version: expected_version + 1,
        expires_at,
        ..earlier
    };
    effect.push(Write::UpdateConnection { row: rooms.row_key().tag(connection.clone()), expected_version });
    effect.push(Write::DeleteAccessTokens(connection.id.clone()));
    Ok(connection)
}

/// Ends a connection that is replaced: a rule against it, so that an older row put back stays dead, and the provider is told.
fn retire(rooms: &Rooms, earlier: Connection, effect: &mut Vec<Write>) {
    let connection = earlier.id.clone();
    effect.push(end(rooms, earlier));
    effect.push(Write::AddRule { kind: RuleKind::Revoke, target: Target::Connection(connection.clone()) });
    effect.push(Write::QueueProviderRevocation {
        holder: TokenHolder::Connection(connection),
        due_at: rooms.clock.now(),
    });
}

/// Moves a connection that cannot be read out of the way, whosever account it was: nothing in it can be relied on. Its tokens
/// cannot be opened without it, so they are not told to the provider and go; the rule keeps an older row put back dead.
fn set_aside(unreadable: QuarantinedRow, effect: &mut Vec<Write>) {
    let connection = unreadable.id(ConnectionId::parse);
    effect.push(Write::SetAsideConnection(unreadable));
    if let Some(connection) = connection {
        effect
            .push(Write::AddRule { kind: RuleKind::Revoke, target: Target::Connection(connection.clone()) });
        effect.push(Write::DeleteSecrets(connection));
    }
}

/// Its row says that it has ended.
fn end(rooms: &Rooms, earlier: Connection) -> Write {
    let expected_version = earlier.version;
    let version = expected_version.wrapping_add(1);
    let row = Connection { state: ConnectionState::Revoked, version, ..earlier };
    Write::UpdateConnection { row: rooms.row_key().tag(row), expected_version }
}

fn create(
    rooms: &Rooms,
    consent: &Consent,
    obtained: &Obtained,
    epoch: i64,
    effect: &mut Vec<Write>,
) -> Result<Connection, Refusal> {
    let (spec, now) = (rooms.provider(&consent.provider)?, rooms.clock.now());
    let connection = Connection {
        id: ConnectionId::random(&*rooms.rng),
        owner: Owner::Subject(consent.subject.clone()),
        provider: consent.provider.clone(),
        client_id: spec.client.id.clone(),
        account: obtained.account.clone(),
        state: ConnectionState::Active,
        scopes: obtained.scopes.clone(),
        version: 1,
        born_epoch: epoch,
        created_at: now,
        // After that the provider's grant is over, however often it is refreshed (RF10).
        expires_at: spec.absolute_limit.map(|limit| now.plus(limit)),
    };
    effect.push(Write::InsertConnection(rooms.row_key().tag(connection.clone())));
    Ok(connection)
}

/// From the consent's row to the connection's, sealed to sealed: nothing is shown.
async fn put_secrets(
    rooms: &Rooms,
    consent: &Consent,
    obtained: &Obtained,
    connection: &Connection,
    generation: i64,
    effect: &mut Vec<Write>,
) -> Result<(), Refusal> {
    let key = rooms.row_key();
    let from = consent.record_key();
    let obtained_at = rooms.clock.now();
    let mut put = |kind, envelope: &[u8], expires_at| {
        effect.push(Write::PutSecret(key.tag(SecretRow {
            connection: connection.id.clone(),
            kind,
            scopes: obtained.scopes.clone(),
            generation,
            envelope: envelope.into(),
            expires_at,
            obtained_at,
        })));
    };
    let to = connection.access_key(&obtained.scopes, generation);
    let access = rooms.vault.reseal(&from, &obtained.access, &to).await?;
    put(SecretKind::Access, access.envelope(), obtained.access_expires_at);
    if let Some(refresh) = &obtained.refresh {
        let refresh = rooms.vault.reseal(&from, refresh, &connection.refresh_key(generation)).await?;
        // It is over when it lies idle for that long (RF10).
        let idle = rooms.provider(&consent.provider)?.idle_limit.map(|limit| obtained_at.plus(limit));
        put(SecretKind::Refresh, refresh.envelope(), idle);
    }
    Ok(())
}
