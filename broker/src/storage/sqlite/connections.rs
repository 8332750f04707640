//! Connections, their tokens and the queue of revocations at the provider: reads.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{
        ConnectionId, Owner, ProviderId, SecretKind, SecretRow, StoredConnection, Tagged, TenantId, Timestamp,
    },
    storage::{
        Connections, QueuedRevocation, Readable, StoreError,
        rows::{
            connections::{connection, queued, secret},
            each,
        },
    },
};
use async_trait::async_trait;

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
