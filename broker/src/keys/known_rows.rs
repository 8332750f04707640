//! A row whose MAC names a key that is not known here is not tampered with for all this process can tell: another replica may
//! have rotated the key. It is neither served nor set aside; it is there again once the key is known.

use super::KeyRing;
use crate::{
    domain::{
        Approval, Authority, ConnectionId, Consent, ConsentId, Owner, ProviderId, ScopeSet, SecretKind,
        SecretRow, StoredConnection, Subject, Tagged, TenantId, Timestamp, WorkloadId,
    },
    storage::{Approvals, Connections, Consents, QueuedRevocation, Readable, Store, StoreError},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Most overdue consents looked at for some whose key is known.
const MOST_OVERDUE: u32 = 10_000;

/// The same store, which answers [`StoreError::KeyUnknown`] in place of connections, tokens, approvals and consents that were
/// tagged with a key the ring does not know, after it has looked for that key once more.
pub fn with_known_keys(store: Store, keys: Arc<KeyRing>) -> Store {
    let Store { connections, approvals, consents, .. } = store.clone();
    let known = Arc::new(KnownRows { keys, connections, approvals, consents });
    Store { connections: known.clone(), approvals: known.clone(), consents: known, ..store }
}

struct KnownRows {
    keys: Arc<KeyRing>,
    connections: Arc<dyn Connections>,
    approvals: Arc<dyn Approvals>,
    consents: Arc<dyn Consents>,
}

impl KnownRows {
    fn knows<T: Authority>(&self, row: &Tagged<T>) -> bool {
        // What no key of ours could be called was not written by any replica.
        row.key_id().filter(|id| is_key_id(id)).is_none_or(|id| self.keys.row_key().knows(id))
    }

    /// Looks at the system keys again if one of `rows` needs that.
    async fn learn<'a, T: Authority + 'a>(&self, rows: impl IntoIterator<Item = &'a Tagged<T>>) {
        let unknown = rows.into_iter().find(|row| !self.knows(row)).and_then(Tagged::key_id);
        if let Some(key) = unknown
            && let Err(error) = self.keys.reread_row_keys().await
        {
            tracing::warn!(key, %error, "the system keys could not be read again");
        }
    }

    async fn all<T: Authority, R>(
        &self,
        rows: Vec<R>,
        row: fn(&R) -> Option<&Tagged<T>>,
    ) -> Result<Vec<R>, StoreError> {
        self.learn(rows.iter().filter_map(row)).await;
        match rows.iter().filter_map(row).find(|row| !self.knows(row)) {
            Some(row) => Err(unknown(row)),
            None => Ok(rows),
        }
    }

    async fn one<T: Authority>(&self, row: Option<Tagged<T>>) -> Result<Option<Tagged<T>>, StoreError> {
        Ok(self.all(row.into_iter().collect(), |row| Some(row)).await?.pop())
    }
}

/// As [`super::random_key_id`] makes them.
fn is_key_id(id: &str) -> bool {
    let digits = id.strip_prefix("key_");
    digits.is_some_and(|d| d.len() == 26 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v')))
}

fn unknown<T: Authority>(row: &Tagged<T>) -> StoreError {
    tracing::error!(table = T::TABLE, key = row.key_id(), "a row was tagged with a key that is not known");
    StoreError::KeyUnknown { table: T::TABLE }
}

fn readable<T>(row: &Readable<Tagged<T>>) -> Option<&Tagged<T>> {
    row.as_ref().ok()
}

fn connection(row: &Readable<StoredConnection>) -> Option<&Tagged<crate::domain::Connection>> {
    row.as_ref().ok().map(|stored| &stored.row)
}

#[async_trait]
impl Connections for KnownRows {
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.all(self.connections.of_owner(owner, provider).await?, connection).await
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        let found = self.connections.by_id(tenant, id).await?;
        Ok(self.all(found.into_iter().collect(), |stored| Some(&stored.row)).await?.pop())
    }

    /// A list for people: one row ends no list, and what is not shown is not lost.
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        let rows = self.connections.page(tenant, after, limit).await?;
        self.learn(rows.iter().filter_map(connection)).await;
        Ok(rows)
    }

    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError> {
        self.one(self.connections.secret(connection, kind, scope_key).await?).await
    }

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        self.all(self.connections.secrets(connection).await?, readable).await
    }

    async fn due_revocations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError> {
        self.connections.due_revocations(now, limit).await
    }
}

#[async_trait]
impl Approvals for KnownRows {
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError> {
        let found = self.approvals.find(tenant, connection, workload).await?;
        Ok(self.all(found.into_iter().collect(), readable).await?.pop())
    }

    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError> {
        self.all(self.approvals.of_connection(tenant, connection).await?, readable).await
    }
}

#[async_trait]
impl Consents for KnownRows {
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.one(self.consents.by_id(id).await?).await
    }

    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.one(self.consents.by_handle(handle_hash).await?).await
    }

    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.one(self.consents.by_state(state_hash).await?).await
    }

    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.all(self.consents.open_need(subject, workload, provider, scopes, now).await?, readable).await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.all(self.consents.open_of(subject, now, limit).await?, readable).await
    }

    /// Those whose key is not known wait, and keep the sweep from no other.
    async fn overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let mut most = limit;
        loop {
            let mut rows = self.consents.overdue(now, most).await?;
            let last = rows.len() < most as usize || most >= MOST_OVERDUE;
            self.learn(rows.iter().filter_map(readable)).await;
            rows.retain(|row| readable(row).is_none_or(|row| self.knows(row)));
            if last || rows.len() >= limit as usize {
                rows.truncate(limit as usize);
                return Ok(rows);
            }
            most = most.saturating_mul(4).min(MOST_OVERDUE);
        }
    }
}
