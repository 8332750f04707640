//! Connections, their tokens and the queue of revocations at the provider: reads.

use super::{
    SqliteStore,
    error::unavailable,
    rows::{Cells, each},
};
use crate::{
    domain::{
        Account, Connection, ConnectionId, ConnectionState, Owner, ProviderId, RefreshState, SecretKind,
        SecretRow, StoredConnection, Tagged, TenantId, Timestamp, TokenHolder,
    },
    storage::{Connections, QueuedRevocation, Readable, StoreError},
};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

const OF_OWNER: &str = "\
SELECT * FROM connections
WHERE tenant = ?1 AND owner_kind = ?2 AND realm = ?3 AND subject = ?4 AND (?5 = '' OR provider = ?5)
ORDER BY created_at DESC, id DESC";

#[async_trait]
impl Connections for SqliteStore {
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        let rows = sqlx::query(OF_OWNER)
            .bind(owner.tenant().as_str())
            .bind(owner.kind())
            .bind(owner.realm())
            .bind(owner.subject_id())
            .bind(provider.map_or("", ProviderId::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, connection)).collect()
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        let row = sqlx::query("SELECT * FROM connections WHERE tenant = ? AND id = ?")
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(connection).transpose()
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        let rows = sqlx::query("SELECT * FROM connections WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?")
            .bind(tenant.as_str())
            .bind(after.map_or("", ConnectionId::as_str))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, connection)).collect()
    }

    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM connection_secrets WHERE connection = ? AND kind = ? AND scope_key = ?",
        )
        .bind(connection.as_str())
        .bind(kind.as_str())
        .bind(scope_key)
        .fetch_optional(&self.readers)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(secret).transpose()
    }

    async fn secrets(&self, connection: &ConnectionId) -> Result<Vec<Tagged<SecretRow>>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM connection_secrets WHERE connection = ? ORDER BY kind, scope_key")
                .bind(connection.as_str())
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
        rows.iter().map(secret).collect()
    }

    async fn due_revocations(&self, now: Timestamp, limit: u32) -> Result<Vec<QueuedRevocation>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM provider_revocations WHERE due_at <= ? ORDER BY due_at, holder LIMIT ?",
        )
        .bind(now.micros())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(unavailable)?;
        rows.iter().map(queued).collect()
    }
}

fn connection(row: &SqliteRow) -> Result<StoredConnection, StoreError> {
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
        },
        last_used_at: cells.optional_time("last_used_at")?,
    })
}

fn secret(row: &SqliteRow) -> Result<Tagged<SecretRow>, StoreError> {
    let cells = Cells::new(row, "connection_secrets");
    let secret = SecretRow {
        connection: cells.id("connection", ConnectionId::parse)?,
        kind: cells.word("kind", parse_kind)?,
        scopes: cells.scopes("scopes")?,
        generation: cells.number("generation")?,
        envelope: cells.blob("envelope")?,
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

fn queued(row: &SqliteRow) -> Result<QueuedRevocation, StoreError> {
    let cells = Cells::new(row, "provider_revocations");
    Ok(QueuedRevocation {
        holder: cells.id("holder", TokenHolder::parse)?,
        tenant: cells.id("tenant", TenantId::parse)?,
        attempts: cells.number("attempts")?,
        due_at: cells.time("due_at")?,
    })
}
