//! The database's clock in the hands of a test: it shows whatever time a caller of the traits names.

use super::PostgresStore;
use crate::{
    domain::{
        ConnectionId, Consent, ConsentId, Group, LogoutNames, Owner, ParentPage, ProviderId, RequestClaim,
        Rule, ScopeSet, SecretKind, SecretRow, StoredConnection, Subject, Tagged, TenantId, Timestamp,
        WebSession, WorkloadId, ledger::Head,
    },
    storage::{
        Committed, Connections, Consents, Ledger, LockMode, Parents, QueuedRevocation, Readable, Requests,
        Seal, Sessions, StoreError, StreamRow, conformance::samples,
    },
};
use async_trait::async_trait;
use sqlx::PgConnection;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// What the owner of a database may do and nobody else: replace its clock.
pub(super) async fn install_clock(owner: &mut PgConnection) {
    sqlx::raw_sql(
        "CREATE TABLE test_clock (micros BIGINT NOT NULL);
         INSERT INTO test_clock VALUES (0);
         CREATE OR REPLACE FUNCTION broker_clock() RETURNS BIGINT LANGUAGE sql VOLATILE
             SECURITY DEFINER RETURN (SELECT micros FROM public.test_clock)",
    )
    .execute(&mut *owner)
    .await
    .unwrap();
    set_clock(owner, samples::NOW).await;
}

pub(super) async fn set_clock(owner: &mut PgConnection, now: Timestamp) {
    let set = sqlx::query("UPDATE test_clock SET micros = $1").bind(now.micros());
    set.execute(owner).await.unwrap();
}

/// Sets the clock before each call.
pub(super) struct AtTheirTime {
    pub(super) store: Arc<PostgresStore>,
    owner: Mutex<PgConnection>,
}

impl AtTheirTime {
    pub(super) fn new(store: Arc<PostgresStore>, owner: PgConnection) -> Self {
        Self { store, owner: Mutex::new(owner) }
    }

    async fn at(&self, now: Timestamp) -> &PostgresStore {
        set_clock(&mut *self.owner.lock().await, now).await;
        &self.store
    }
}

#[async_trait]
impl Connections for AtTheirTime {
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.store.of_owner(owner, provider).await
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        Connections::by_id(&*self.store, tenant, id).await
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.store.page(tenant, after, limit).await
    }

    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError> {
        self.store.secret(connection, kind, scope_key).await
    }

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        self.store.secrets(connection).await
    }

    async fn due_revocations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError> {
        self.at(now).await.due_revocations(now, limit).await
    }
}

#[async_trait]
impl Consents for AtTheirTime {
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError> {
        Consents::by_id(&*self.store, id).await
    }

    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        Consents::by_handle(&*self.store, handle_hash).await
    }

    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.store.by_state(state_hash).await
    }

    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.at(now).await.open_need(subject, workload, provider, scopes, now).await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        Consents::open_of(self.at(now).await, subject, now, limit).await
    }

    async fn overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.at(now).await.overdue(now, limit).await
    }
}

#[async_trait]
impl Parents for AtTheirTime {
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError> {
        Parents::by_handle(&*self.store, handle_hash).await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError> {
        Parents::open_of(self.at(now).await, subject, now, limit).await
    }
}

#[async_trait]
impl Sessions for AtTheirTime {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        Sessions::by_id(&*self.store, id_hash).await
    }

    async fn named(&self, names: &LogoutNames) -> Result<Vec<[u8; 32]>, StoreError> {
        self.store.named(names).await
    }

    async fn touch(&self, id_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        self.at(now).await.touch(id_hash, now).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.at(now).await.purge(now).await
    }
}

#[async_trait]
impl Requests for AtTheirTime {
    async fn by_key(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<RequestClaim>, StoreError> {
        self.at(now).await.by_key(key, now).await
    }
}

#[async_trait]
impl Ledger for AtTheirTime {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        self.at(now).await.commit(head, known_epoch, batch, lock, now, seal).await
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        self.at(stream.heartbeat_at).await.open_stream(stream).await
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.store.heartbeat()
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        self.store.close_stream(head, mac).await
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        self.store.streams().await
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        self.store.rules_since(epoch).await
    }
}
