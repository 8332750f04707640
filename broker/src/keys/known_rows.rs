//! A row whose MAC names a key that is not known here may be another replica's, which has made that key. A key is stored before
//! its first use: once the system keys were read after the row and do not have it, nobody made it, and the row fails its check like
//! any edited one. Until they could be read, the row is neither served nor set aside.

use super::KeyRing;
use crate::{
    domain::{
        Approval, Authority, Clock, ConnectionId, Consent, ConsentId, Owner, ParentPage, ProviderId,
        ScopeSet, SecretKind, SecretRow, StoredConnection, Subject, Tagged, TenantId, Timestamp, WorkloadId,
    },
    storage::{Approvals, Connections, Consents, Parents, QueuedRevocation, Readable, Store, StoreError},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Most overdue consents looked at for some whose key is known.
const MOST_OVERDUE: u32 = 10_000;

/// So long a key that was looked for and is not there is not looked for again: an edited row costs no read per call.
pub(super) const ABSENT_FOR: Duration = Duration::from_secs(10);
/// Most key ids remembered as absent.
const MOST_ABSENT: u64 = 10_000;

/// The same store, which looks at the system keys once more where connections, tokens, approvals, consents and parent pages were tagged with a
/// key the ring does not know, and answers [`StoreError::KeyUnknown`] in their place while these cannot be read.
pub fn with_known_keys(store: Store, keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Store {
    let Store { connections, approvals, consents, parents, .. } = store.clone();
    let absent = moka::sync::Cache::new(MOST_ABSENT);
    let known = Arc::new(KnownRows { keys, clock, absent, connections, approvals, consents, parents });
    Store {
        connections: known.clone(),
        approvals: known.clone(),
        consents: known.clone(),
        parents: known,
        ..store
    }
}

struct KnownRows {
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    /// Key ids that nobody has made, and the monotonic reading when the system keys were last read for each.
    absent: moka::sync::Cache<String, Duration>,
    connections: Arc<dyn Connections>,
    approvals: Arc<dyn Approvals>,
    consents: Arc<dyn Consents>,
    parents: Arc<dyn Parents>,
}

impl KnownRows {
    fn knows<T: Authority>(&self, row: &Tagged<T>) -> bool {
        // What no key of ours could be called was not written by any replica.
        row.key_id().filter(|id| is_key_id(id)).is_none_or(|id| self.keys.row_key().knows(id))
    }

    fn is_absent(&self, key: &str) -> bool {
        let seen = self.absent.get(key);
        seen.is_some_and(|at| self.clock.monotonic().saturating_sub(at) < ABSENT_FOR)
    }

    /// Looks at the system keys again if one of `rows` needs that; whether each may go on to its check.
    async fn settled<'a, T: Authority + 'a>(&self, rows: impl IntoIterator<Item = &'a Tagged<T>>) -> bool {
        let unknown = rows.into_iter().filter(|row| !self.knows(row)).filter_map(Tagged::key_id);
        let unknown: Vec<&str> = unknown.filter(|key| !self.is_absent(key)).collect();
        let Some(key) = unknown.first() else { return true };
        if let Err(error) = self.keys.reread_row_keys().await {
            tracing::error!(table = T::TABLE, key, %error, "a row's key is not known, and the system keys could not be read");
            return false;
        }
        let (known, now) = (self.keys.row_key(), self.clock.monotonic());
        for key in unknown.into_iter().filter(|key| !known.knows(key)) {
            tracing::error!(table = T::TABLE, key, "a row names a key that nobody has made");
            self.absent.insert(key.to_owned(), now);
        }
        true
    }

    async fn all<T: Authority, R>(
        &self,
        rows: Vec<R>,
        row: fn(&R) -> Option<&Tagged<T>>,
    ) -> Result<Vec<R>, StoreError> {
        let settled = self.settled(rows.iter().filter_map(row)).await;
        if settled { Ok(rows) } else { Err(StoreError::KeyUnknown { table: T::TABLE }) }
    }

    async fn one<T: Authority>(&self, row: Option<Tagged<T>>) -> Result<Option<Tagged<T>>, StoreError> {
        Ok(self.all(row.into_iter().collect(), |row| Some(row)).await?.pop())
    }
}

/// As [`super::random_key_id`] makes them.
pub(super) fn is_key_id(id: &str) -> bool {
    let digits = id.strip_prefix("key_");
    digits.is_some_and(|d| d.len() == 26 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v')))
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
        self.settled(rows.iter().filter_map(connection)).await;
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

    /// While the system keys cannot be read, those whose key is not known wait, and keep the sweep from no other.
    async fn overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let mut most = limit;
        loop {
            let mut rows = self.consents.overdue(now, most).await?;
            let last = rows.len() < most as usize || most >= MOST_OVERDUE;
            if !self.settled(rows.iter().filter_map(readable)).await {
                rows.retain(|row| readable(row).is_none_or(|row| self.knows(row)));
            }
            if last || rows.len() >= limit as usize {
                rows.truncate(limit as usize);
                return Ok(rows);
            }
            most = most.saturating_mul(4).min(MOST_OVERDUE);
        }
    }
}

#[async_trait]
impl Parents for KnownRows {
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError> {
        self.one(self.parents.by_handle(handle_hash).await?).await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError> {
        self.all(self.parents.open_of(subject, now, limit).await?, readable).await
    }
}
