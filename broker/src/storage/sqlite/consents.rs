//! Consents: reads.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{Consent, ConsentId, ProviderId, ScopeSet, Subject, Tagged, Timestamp, WorkloadId},
    storage::{
        Consents, Readable, StoreError,
        rows::{consents::consent, each},
    },
};
use async_trait::async_trait;

const OPEN_NEED: &str = "\
SELECT * FROM consents
WHERE tenant = ? AND realm = ? AND subject = ? AND workload = ? AND provider = ? AND scopes = ?
  AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > ?
ORDER BY created_at DESC";

const OPEN_OF: &str = "\
SELECT * FROM consents
WHERE tenant = ? AND realm = ? AND subject = ?
  AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > ?
LIMIT ?";

const OVERDUE: &str = "\
SELECT * FROM consents
WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at <= ?
ORDER BY expires_at LIMIT ?";

#[async_trait]
impl Consents for SqliteStore {
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query("SELECT * FROM consents WHERE id = ?").bind(id.as_str());
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query("SELECT * FROM consents WHERE handle_hash = ?").bind(&handle_hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query("SELECT * FROM consents WHERE state_hash = ?").bind(&state_hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let rows = sqlx::query(OPEN_NEED)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(workload.as_str())
            .bind(provider.as_str())
            .bind(scopes.canonical())
            .bind(now.micros())
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let rows = sqlx::query(OPEN_OF)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(now.micros())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }

    async fn overdue(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let query = sqlx::query(OVERDUE).bind(now.micros()).bind(limit);
        let rows = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }
}
