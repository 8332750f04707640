//! Rows of connections in use, kept for a moment (design §10): an issuance that finds everything here reads nothing from
//! the database but what its commit reads.
//!
//! What is here is as it was stored: tagged rows, sealed tokens. It may be stale for at most [`HotLimits::max_age`]. Whatever is
//! revoked, blocked or withdrawn is a revocation rule, which the commit checks itself; and who finds here less than an answer
//! must ask the database before saying so. This process's own writes are seen at once.
//!
//! One narrowing is no rule: a person who connects an account again may give it fewer scopes than before. Another replica may go on
//! handing out the wider access token, within what its workload is still approved for, until that age is reached.

#[cfg(test)]
mod tests;

use super::{
    Approvals, Committed, Connections, Ledger, LockMode, QueuedRevocation, Readable, Seal, Store, StoreError,
    StreamRow,
};
use crate::domain::{
    Approval, Clock, ConnectionId, Group, Owner, ProviderId, Rule, SecretKind, SecretRow, StoredConnection,
    Tagged, TenantId, Timestamp, WorkloadId, Write, ledger::Head,
};
use async_trait::async_trait;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct HotLimits {
    /// About so many bytes; the least used go first.
    pub bytes: u64,
    /// Read again after this long.
    pub max_age: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Connections(Owner, ProviderId),
    Approval(TenantId, ConnectionId, WorkloadId),
    Secrets(ConnectionId),
}

#[derive(Clone)]
enum Rows {
    Connections(Arc<Vec<StoredConnection>>),
    Approval(Arc<Tagged<Approval>>),
    Secrets(Arc<Vec<Tagged<SecretRow>>>),
}

impl Rows {
    /// About how much memory they take, in bytes.
    fn weight(&self) -> usize {
        const ROW: usize = 800;
        match self {
            Self::Connections(rows) => ROW * rows.len(),
            Self::Approval(_) => ROW,
            Self::Secrets(rows) => {
                rows.iter().map(|row| ROW / 2 + row.stored_parts().0.envelope.len()).sum::<usize>()
            }
        }
    }
}

#[derive(Clone)]
struct Kept {
    rows: Rows,
    /// The monotonic reading when they were read.
    at: Duration,
}

/// Counts writes, so that what was read before one is not kept after it. Several keys may share a counter.
const STRIPES: usize = 256;

struct Hot {
    clock: Arc<dyn Clock>,
    max_age: Duration,
    kept: moka::sync::Cache<Key, Kept>,
    writes: [AtomicU64; STRIPES],
}

impl Hot {
    fn get(&self, key: &Key) -> Option<Rows> {
        let kept = self.kept.get(key)?;
        (self.clock.monotonic().saturating_sub(kept.at) < self.max_age).then_some(kept.rows)
    }

    /// What is read after this and before a write to `key` may be kept.
    fn before(&self, key: &Key) -> u64 {
        self.stripe(key).load(Ordering::SeqCst)
    }

    fn keep(&self, key: Key, rows: Rows, at: Duration, before: u64) {
        let stripe = self.stripe(&key);
        self.kept.insert(key.clone(), Kept { rows, at });
        if stripe.load(Ordering::SeqCst) != before {
            self.kept.invalidate(&key);
        }
    }

    fn forget(&self, key: &Key) {
        self.stripe(key).fetch_add(1, Ordering::SeqCst);
        self.kept.invalidate(key);
    }

    fn stripe(&self, key: &Key) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.writes[usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)]
    }

    fn forget_written(&self, batch: &[Group]) {
        for write in batch.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.effect) {
            if let Some(key) = written(write) {
                self.forget(&key);
            }
        }
    }
}

/// What a write changes of what is kept here.
fn written(write: &Write) -> Option<Key> {
    match write {
        Write::InsertConnection(row) | Write::UpdateConnection { row, .. } => {
            let row = row.stored_parts().0;
            Some(Key::Connections(row.owner.clone(), row.provider.clone()))
        }
        Write::PutApproval { row, .. } => {
            let row = row.stored_parts().0;
            Some(Key::Approval(row.tenant.clone(), row.connection.clone(), row.workload.clone()))
        }
        Write::PutSecret(row) => Some(Key::Secrets(row.stored_parts().0.connection.clone())),
        Write::DeleteSecrets(id) | Write::DeleteAccessTokens(id) => Some(Key::Secrets(id.clone())),
        _ => None,
    }
}

/// Forgets rows that another replica changed, sooner than they would be too old.
#[derive(Clone)]
pub struct Forget(Arc<Hot>);

impl Forget {
    /// The tokens of a connection.
    pub fn tokens_of(&self, connection: &ConnectionId) {
        self.0.forget(&Key::Secrets(connection.clone()));
    }
}

/// The store with a ledger that notes what it writes, a second one whose connections and approvals may be kept rows, and what makes that
/// forget some.
pub fn with_hot_rows(store: Store, clock: Arc<dyn Clock>, limits: HotLimits) -> (Store, Store, Forget) {
    let weigh = |_: &Key, kept: &Kept| u32::try_from(kept.rows.weight() + 200).unwrap_or(u32::MAX);
    let kept = moka::sync::Cache::builder().max_capacity(limits.bytes).weigher(weigh).build();
    let writes = std::array::from_fn(|_| AtomicU64::new(0));
    let hot = Arc::new(Hot { clock, max_age: limits.max_age, kept, writes });
    let ledger = Arc::new(Noting { inner: store.ledger.clone(), hot: hot.clone() });
    let store = Store { ledger, ..store };
    let forget = Forget(hot.clone());
    let rows =
        Arc::new(HotRows { connections: store.connections.clone(), approvals: store.approvals.clone(), hot });
    let reading = Store { connections: rows.clone(), approvals: rows, ..store.clone() };
    (store, reading, forget)
}

struct HotRows {
    connections: Arc<dyn Connections>,
    approvals: Arc<dyn Approvals>,
    hot: Arc<Hot>,
}

#[async_trait]
impl Connections for HotRows {
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        let Some(provider) = provider else { return self.connections.of_owner(owner, provider).await };
        let key = Key::Connections(owner.clone(), provider.clone());
        if let Some(Rows::Connections(rows)) = self.hot.get(&key) {
            return Ok(rows.iter().cloned().map(Ok).collect());
        }
        let (before, at) = (self.hot.before(&key), self.hot.clock.monotonic());
        let read = self.connections.of_owner(owner, Some(provider)).await?;
        let readable: Vec<StoredConnection> = read.iter().filter_map(|row| row.clone().ok()).collect();
        // Nothing, or something that cannot be read, is worth asking about again.
        if !readable.is_empty() && readable.len() == read.len() {
            self.hot.keep(key, Rows::Connections(Arc::new(readable)), at, before);
        }
        Ok(read)
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        self.connections.by_id(tenant, id).await
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.connections.page(tenant, after, limit).await
    }

    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError> {
        self.connections.secret(connection, kind, scope_key).await
    }

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        let key = Key::Secrets(connection.clone());
        if let Some(Rows::Secrets(rows)) = self.hot.get(&key) {
            return Ok(rows.iter().cloned().map(Ok).collect());
        }
        let (before, at) = (self.hot.before(&key), self.hot.clock.monotonic());
        let read = self.connections.secrets(connection).await?;
        let readable: Vec<_> = read.iter().flatten().cloned().collect();
        if !read.is_empty() && readable.len() == read.len() {
            self.hot.keep(key, Rows::Secrets(Arc::new(readable)), at, before);
        }
        Ok(read)
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
impl Approvals for HotRows {
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError> {
        let key = Key::Approval(tenant.clone(), connection.clone(), workload.clone());
        if let Some(Rows::Approval(row)) = self.hot.get(&key) {
            return Ok(Some(Ok(Tagged::clone(&row))));
        }
        let (before, at) = (self.hot.before(&key), self.hot.clock.monotonic());
        let read = self.approvals.find(tenant, connection, workload).await?;
        if let Some(Ok(row)) = &read {
            self.hot.keep(key, Rows::Approval(Arc::new(row.clone())), at, before);
        }
        Ok(read)
    }

    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError> {
        self.approvals.of_connection(tenant, connection).await
    }
}

/// A ledger whose writes are forgotten here as soon as they are committed, or may be. A commit that
/// nobody waits for any more may end later; then the age alone decides.
struct Noting {
    inner: Arc<dyn Ledger>,
    hot: Arc<Hot>,
}

#[async_trait]
impl Ledger for Noting {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        let committed = self.inner.commit(head, known_epoch, batch, lock, now, seal).await;
        self.hot.forget_written(batch);
        committed
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        self.inner.open_stream(stream).await
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.inner.heartbeat()
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        self.inner.close_stream(head, mac).await
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        self.inner.streams().await
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        self.inner.rules_since(epoch).await
    }
}
