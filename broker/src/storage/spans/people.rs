//! What people are asked and shown, read within a span.

use super::{
    super::{Consents, Parents, Readable, Sessions, StoreError},
    Traced,
};
use crate::domain::{
    Consent, ConsentId, LogoutNames, ParentPage, ProviderId, ScopeSet, Subject, Tagged, Timestamp,
    WebSession, WorkloadId,
};
use async_trait::async_trait;

#[async_trait]
impl Consents for Traced<dyn Consents> {
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.by_id(id)).await
    }

    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.by_handle(handle_hash)).await
    }

    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.by_state(state_hash)).await
    }

    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.open_need(subject, workload, provider, scopes, now))
            .await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.open_of(subject, now, limit)).await
    }

    async fn overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        self.traced("SELECT", "consents", self.inner.overdue(now, limit)).await
    }
}

#[async_trait]
impl Parents for Traced<dyn Parents> {
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError> {
        self.traced("SELECT", "parent_pages", self.inner.by_handle(handle_hash)).await
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError> {
        self.traced("SELECT", "parent_pages", self.inner.open_of(subject, now, limit)).await
    }
}

#[async_trait]
impl Sessions for Traced<dyn Sessions> {
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError> {
        self.traced("SELECT", "web_sessions", self.inner.by_id(id_hash)).await
    }

    async fn named(&self, names: &LogoutNames) -> Result<Vec<[u8; 32]>, StoreError> {
        self.traced("SELECT", "web_sessions", self.inner.named(names)).await
    }

    async fn touch(&self, id_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        self.traced("UPDATE", "web_sessions", self.inner.touch(id_hash, now)).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.traced("DELETE", "web_sessions", self.inner.purge(now)).await
    }
}
