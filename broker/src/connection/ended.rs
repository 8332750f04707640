//! A connection that was ended while its refresh was under way: what came back is ended too (RF4).

use super::tokens::Tokens;
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Kind, Outcome,
        Owner, ProviderSpec, RefreshToken, Refusal, Sealed, SecretKind, SecretRow, Write,
    },
    policy::RevokeAtProvider,
};

/// Revokes `rows`, just stored, at the provider if their connection was ended meanwhile: whoever ended it may not have
/// seen them any more. What cannot be revoked now is queued with the connection's other tokens.
pub(super) async fn revoke_if_ended(
    tokens: &Tokens,
    spec: &ProviderSpec,
    connection: &Connection,
    rows: &[SecretRow],
) {
    match is_ended(tokens, connection).await {
        Ok(false) => return,
        Ok(true) => {}
        Err(refusal) => return report(refusal),
    }
    for row in rows {
        let told = match row.kind {
            SecretKind::Refresh => revoke::<RefreshToken>(tokens, spec, connection, row).await,
            SecretKind::Access => revoke::<AccessToken>(tokens, spec, connection, row).await,
        };
        if let Err(refusal) = told {
            report(refusal);
            if let Err(refusal) = queue(tokens, connection).await {
                report(refusal);
            }
        }
    }
}

async fn is_ended(tokens: &Tokens, connection: &Connection) -> Result<bool, Refusal> {
    let stored = tokens.store.connections.by_id(connection.owner.tenant(), &connection.id).await?;
    match stored {
        Some(stored) => Ok(stored.row.check(&tokens.keys.row_key())?.state == ConnectionState::Revoked),
        None => Ok(true),
    }
}

async fn revoke<K: Kind>(
    tokens: &Tokens,
    spec: &ProviderSpec,
    connection: &Connection,
    row: &SecretRow,
) -> Result<(), Refusal> {
    let permit = tokens.policy.revoke_at_provider::<K>(connection, row)?;
    let entry = Entry::note(draft(tokens, connection, EventKind::ProviderRevokeIntent));
    let proof = tokens.audit.record::<RevokeAtProvider<K>>(permit, entry, Deadline::none()).await?;
    let opened = tokens.vault.open(proof, &Sealed::<K>::from_envelope(row.envelope.clone())).await?;
    tokens.engine.revoke(spec, opened).await?;
    Ok(())
}

async fn queue(tokens: &Tokens, connection: &Connection) -> Result<(), Refusal> {
    let due_at = tokens.clock.now();
    let effect = vec![Write::QueueProviderRevocation { connection: connection.id.clone(), due_at }];
    let mut draft = draft(tokens, connection, EventKind::ProviderRevoked);
    draft.outcome = Outcome::Failed;
    let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
    tokens.audit.note(entry, Deadline::none()).await?;
    Ok(())
}

fn draft(tokens: &Tokens, connection: &Connection, kind: EventKind) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(&*tokens.rng), kind, Outcome::Allowed);
    if let Owner::Subject(subject) = &connection.owner {
        draft = draft.about(subject);
    }
    draft.tenant = Some(connection.owner.tenant().clone());
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft
}

fn report(refusal: Refusal) {
    tracing::warn!(
        reason = refusal.reason.as_str(),
        "tokens of an ended connection could not be revoked at once"
    );
}
