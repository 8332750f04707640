//! Connections, their tokens and the queue of revocations at the provider, read from rows.

use super::{Cells, Columns};
use crate::{
    domain::{
        Account, Connection, ConnectionId, ConnectionState, ProviderId, RefreshState, SecretKind, SecretRow,
        StoredConnection, Tagged, TenantId, TokenHolder,
    },
    storage::{EndingToken, QueuedRevocation, StoreError},
};
use std::time::Duration;

pub(in crate::storage) fn connection<R: Columns>(row: &R) -> Result<StoredConnection, StoreError> {
    let cells = Cells::new(row, "connections");
    let connection = Connection {
        id: cells.id("id", ConnectionId::parse)?,
        owner: cells.owner()?,
        provider: cells.id("provider", ProviderId::parse)?,
        client_id: cells.text("client_id")?,
        account: Account { id: cells.text("account_id")?, label: cells.text("account_label")? },
        state: cells.word("state", ConnectionState::parse)?,
        scopes: cells.scopes("scopes")?,
        version: cells.number("version")?,
        born_epoch: cells.number("born_epoch")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.optional_time("expires_at")?,
    };
    Ok(StoredConnection {
        row: cells.tagged(connection)?,
        refresh: RefreshState {
            lease_owner: cells.text("lease_owner")?,
            lease_epoch: cells.number("lease_epoch")?,
            lease_until: cells.optional_time("lease_until")?,
            cooldown_until: cells.optional_time("cooldown_until")?,
            last_error: cells.text("last_error")?,
            attempt_generation: cells.optional_number("attempt_generation")?,
            attempts: cells.number("attempts")?,
            read_at: cells.optional_time("read_at")?,
            up_for: cells
                .optional_number("up_for")?
                .map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
        },
        last_used_at: cells.optional_time("last_used_at")?,
    })
}

pub(in crate::storage) fn secret<R: Columns>(row: &R) -> Result<Tagged<SecretRow>, StoreError> {
    let cells = Cells::new(row, "connection_secrets");
    let secret = SecretRow {
        connection: cells.id("connection", ConnectionId::parse)?,
        kind: cells.word("kind", parse_kind)?,
        scopes: cells.scopes("scopes")?,
        generation: cells.number("generation")?,
        envelope: cells.blob("envelope")?.into(),
        expires_at: cells.optional_time("expires_at")?,
        obtained_at: cells.time("obtained_at")?,
    };
    // The key it is found under is derived from covered columns; another one would serve a token under foreign scopes.
    if secret.scope_key() != cells.text("scope_key")? {
        return Err(cells.malformed("scope_key"));
    }
    cells.tagged(secret)
}

fn parse_kind(text: &str) -> Option<SecretKind> {
    [SecretKind::Access, SecretKind::Refresh].into_iter().find(|kind| kind.as_str() == text)
}

pub(in crate::storage) fn queued<R: Columns>(row: &R) -> Result<QueuedRevocation, StoreError> {
    let cells = Cells::new(row, "provider_revocations");
    Ok(QueuedRevocation {
        holder: cells.id("holder", TokenHolder::parse)?,
        tenant: cells.id("tenant", TenantId::parse)?,
        provider: cells.present("provider", row.bytes_of_text("provider"))?,
        attempts: cells.number("attempts")?,
        due_at: cells.time("due_at")?,
    })
}

pub(in crate::storage) fn ending<R: Columns>(row: &R) -> Result<EndingToken, StoreError> {
    let cells = Cells::new(row, "connections");
    Ok(EndingToken {
        tenant: cells.id("tenant", TenantId::parse)?,
        connection: cells.id("id", ConnectionId::parse)?,
    })
}
