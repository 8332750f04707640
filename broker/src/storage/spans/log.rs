//! Keys and the log, within spans.

use super::{
    super::{AuditFilter, AuditLog, AuditRow, StoreError, WrappedKey, WrappedKeys},
    Traced,
};
use crate::domain::{EventId, Position, StreamId};
use async_trait::async_trait;

#[async_trait]
impl WrappedKeys for Traced<dyn WrappedKeys> {
    async fn tenant_keys(&self, tenant: &str) -> Result<Vec<WrappedKey>, StoreError> {
        self.traced("SELECT", "tenant_keys", self.inner.tenant_keys(tenant)).await
    }

    async fn subject_key(&self, tenant: &str, pseudonym: &str) -> Result<Option<WrappedKey>, StoreError> {
        self.traced("SELECT", "subject_keys", self.inner.subject_key(tenant, pseudonym)).await
    }

    async fn insert(&self, key: &WrappedKey, first_of_tenant: bool) -> Result<(), StoreError> {
        self.traced("INSERT", "tenant_keys", self.inner.insert(key, first_of_tenant)).await
    }

    async fn rewrap(&self, was: &WrappedKey, wrapped_by: &str, wrapped: &[u8]) -> Result<bool, StoreError> {
        self.traced("UPDATE", "tenant_keys", self.inner.rewrap(was, wrapped_by, wrapped)).await
    }

    async fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.traced("SELECT", "tenant_keys", self.inner.counts()).await
    }
}

#[async_trait]
impl AuditLog for Traced<dyn AuditLog> {
    async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.traced("SELECT", "audit_events", self.inner.list(filter, after, limit)).await
    }

    async fn scan(&self, stream: &StreamId, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.traced("SELECT", "audit_events", self.inner.scan(stream, after_seq, limit)).await
    }

    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError> {
        self.traced("SELECT", "audit_events", self.inner.by_id(id)).await
    }
}
