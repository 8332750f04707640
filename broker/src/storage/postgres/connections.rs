//! Connections, their tokens and the queue of revocations at the provider: reads.

use super::{PostgresStore, error::unavailable};
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

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! connections {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "id, tenant, owner_kind, realm, subject, provider, client_id, account_id, account_label, ",
            "state, scopes, version, born_epoch, created_at, expires_at, mac, lease_owner, ",
            "lease_epoch, lease_until, cooldown_until, last_error, last_used_at, attempt_generation, attempts, ",
            "(SELECT broker_clock()) AS read_at, ",
            "(SELECT broker_clock()) - (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::BIGINT AS up_for ",
            "FROM connections ",
            $rest
        )
    };
}

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! secrets {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "connection, kind, scope_key, scopes, generation, envelope, expires_at, obtained_at, mac ",
            "FROM connection_secrets ",
            $rest
        )
    };
}

/// Each provider's oldest first, then each one's second, and so on: however many wait for one, the others have their turn.
const DUE: &str = "\
SELECT holder, tenant, provider, attempts, due_at FROM (
  SELECT q.holder, q.tenant, q.attempts, q.due_at, coalesce(c.provider, s.provider, '') AS provider,
    row_number() OVER (PARTITION BY coalesce(c.provider, s.provider, '') ORDER BY q.due_at, q.holder) AS turn
  FROM provider_revocations q LEFT JOIN connections c ON c.id = q.holder LEFT JOIN consents s ON s.id = q.holder
  WHERE q.due_at <= (SELECT broker_clock())) due
ORDER BY turn, due_at, holder LIMIT $1";

const OF_OWNER: &str = connections!(
    "WHERE tenant = $1 AND owner_kind = $2 AND realm = $3 AND subject = $4 AND ($5 = '' OR provider = $5) \
     ORDER BY created_at DESC, id DESC"
);

#[async_trait]
impl Connections for PostgresStore {
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
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, connection)).collect()
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        let row = sqlx::query(connections!("WHERE tenant = $1 AND id = $2"))
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(&self.pool)
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
        let rows = sqlx::query(connections!("WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3"))
            .bind(tenant.as_str())
            .bind(after.map_or("", ConnectionId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
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
        let row = sqlx::query(secrets!(
            "WHERE connection = $1 AND kind = $2 AND text_sha256(scope_key) = text_sha256($3)"
        ))
        .bind(connection.as_str())
        .bind(kind.as_str())
        .bind(scope_key)
        .fetch_optional(&self.pool)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(secret).transpose()
    }

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        let rows = sqlx::query(secrets!("WHERE connection = $1 ORDER BY kind, scope_key"))
            .bind(connection.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each_by(row, "connection", secret)).collect()
    }

    async fn due_revocations(
        &self,
        _now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError> {
        let rows =
            sqlx::query(DUE).bind(i64::from(limit)).fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| each_by(row, "holder", queued)).collect()
    }
}
