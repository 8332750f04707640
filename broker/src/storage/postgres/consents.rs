//! Consents: reads.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{Consent, ConsentId, ProviderId, ScopeSet, Subject, Tagged, Timestamp, WorkloadId},
    storage::{
        Consents, Readable, StoreError,
        rows::{consents::consent, each},
    },
};
use async_trait::async_trait;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! consents {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "id, tenant, realm, subject, workload, provider, connection, reason, scopes, ",
            "provider_scopes, tool, purpose, created_at, expires_at, version, born_epoch, mismatches, ",
            "state, state_hash, browser_hash, pkce_verifier, obtained_account_id, ",
            "obtained_account_label, obtained_scopes, obtained_refresh, obtained_access, ",
            "obtained_access_expires_at, result_connection, failure, mac ",
            "FROM consents ",
            $rest
        )
    };
}

const OPEN_NEED: &str = consents!(
    "WHERE tenant = $1 AND realm = $2 AND subject = $3 AND workload = $4 AND provider = $5 AND scopes = $6 \
       AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > (SELECT broker_clock()) \
     ORDER BY created_at DESC"
);

const OPEN_OF: &str = consents!(
    "WHERE tenant = $1 AND realm = $2 AND subject = $3 \
       AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > (SELECT broker_clock()) \
     LIMIT $4"
);

const OVERDUE: &str = consents!(
    "WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at <= (SELECT broker_clock()) \
     ORDER BY expires_at LIMIT $1"
);

#[async_trait]
impl Consents for PostgresStore {
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query(consents!("WHERE id = $1")).bind(id.as_str());
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query(consents!("WHERE handle_hash = $1")).bind(&handle_hash[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError> {
        let query = sqlx::query(consents!("WHERE state_hash = $1")).bind(&state_hash[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(consent).transpose()
    }

    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        _now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let rows = sqlx::query(OPEN_NEED)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(workload.as_str())
            .bind(provider.as_str())
            .bind(scopes.canonical())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }

    async fn open_of(
        &self,
        subject: &Subject,
        _now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let rows = sqlx::query(OPEN_OF)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }

    async fn overdue(
        &self,
        _now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
        let query = sqlx::query(OVERDUE).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| each(row, consent)).collect()
    }
}
