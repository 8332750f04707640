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
            each, each_by,
        },
    },
};
use async_trait::async_trait;

const OF_OWNER: &str = "\
SELECT *, NULL AS read_at, NULL AS up_for FROM connections
WHERE tenant = ?1 AND owner_kind = ?2 AND realm = ?3 AND subject = ?4 AND (?5 = '' OR provider = ?5)
ORDER BY created_at DESC, id DESC";

/// Each provider's oldest first, then each one's second, and so on: however many wait for one, the others have their turn.
const DUE: &str = "\
SELECT holder, tenant, provider, attempts, due_at FROM (
  SELECT q.holder, q.tenant, q.attempts, q.due_at, coalesce(c.provider, s.provider, '') AS provider,
    row_number() OVER (PARTITION BY coalesce(c.provider, s.provider, '') ORDER BY q.due_at, q.holder) AS turn
  FROM provider_revocations q LEFT JOIN connections c ON c.id = q.holder LEFT JOIN consents s ON s.id = q.holder
  WHERE q.due_at <= ?)
ORDER BY turn, due_at, holder LIMIT ?";

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
        let row = sqlx::query(
            "SELECT *, NULL AS read_at, NULL AS up_for FROM connections WHERE tenant = ? AND id = ?",
        )
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
        let rows = sqlx::query("SELECT *, NULL AS read_at, NULL AS up_for FROM connections WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?")
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

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM connection_secrets WHERE connection = ? ORDER BY kind, scope_key")
                .bind(connection.as_str())
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
        rows.iter().map(|row| each_by(row, "connection", secret)).collect()
    }

    async fn due_revocations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError> {
        let rows = sqlx::query(DUE)
            .bind(now.micros())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each_by(row, "holder", queued)).collect()
    }
}
