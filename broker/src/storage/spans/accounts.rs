//! What is stored of whom, read within a span.

use super::{
    super::{
        Approvals, Connections, Ending, EndingToken, Endings, Over, QueuedRevocation, Readable, Requests,
        StoreError,
    },
    Traced,
};
use crate::domain::{
    Approval, ConnectionId, Owner, ProviderId, RequestClaim, SecretKind, SecretRow, StoredConnection, Tagged,
    TenantId, Timestamp, WorkloadId,
};
use async_trait::async_trait;

#[async_trait]
impl Connections for Traced<dyn Connections> {
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.traced("SELECT", "connections", self.inner.of_owner(owner, provider)).await
    }

    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError> {
        self.traced("SELECT", "connections", self.inner.by_id(tenant, id)).await
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError> {
        self.traced("SELECT", "connections", self.inner.page(tenant, after, limit)).await
    }

    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError> {
        self.traced("SELECT", "connection_secrets", self.inner.secret(connection, kind, scope_key)).await
    }

    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError> {
        self.traced("SELECT", "connection_secrets", self.inner.secrets(connection)).await
    }

    async fn due_revocations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError> {
        self.traced("SELECT", "provider_revocations", self.inner.due_revocations(now, limit)).await
    }
}

#[async_trait]
impl Approvals for Traced<dyn Approvals> {
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError> {
        self.traced("SELECT", "approvals", self.inner.find(tenant, connection, workload)).await
    }

    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError> {
        self.traced("SELECT", "approvals", self.inner.of_connection(tenant, connection)).await
    }
}

#[async_trait]
impl Requests for Traced<dyn Requests> {
    async fn by_key(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<RequestClaim>, StoreError> {
        self.traced("SELECT", "requests", self.inner.by_key(key, now)).await
    }
}

#[async_trait]
impl Endings for Traced<dyn Endings> {
    async fn ending(&self, which: &Ending<'_>) -> Result<Vec<Readable<EndingToken>>, StoreError> {
        self.traced("SELECT", "connections", self.inner.ending(which)).await
    }

    async fn count_over(&self, which: &Over<'_>) -> Result<u64, StoreError> {
        self.traced("SELECT", "connections", self.inner.count_over(which)).await
    }
}
