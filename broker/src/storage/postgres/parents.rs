//! Parent pages: reads.

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{ParentPage, Subject, Tagged, Timestamp},
    storage::{
        Parents, Readable, StoreError,
        rows::{each, parents::parent},
    },
};
use async_trait::async_trait;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! parents {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant, realm, subject, workload, consents, created_at, expires_at, version, mismatches, mac ",
            "FROM parent_pages ",
            $rest
        )
    };
}

const BY_HANDLE: &str = parents!("WHERE handle_hash = $1");

const OPEN_OF: &str = parents!(
    "WHERE tenant = $1 AND realm = $2 AND subject = $3 AND expires_at > (SELECT broker_clock()) \
     ORDER BY created_at DESC LIMIT $4"
);

#[async_trait]
impl Parents for PostgresStore {
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError> {
        let query = sqlx::query(BY_HANDLE).bind(&handle_hash[..]);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(parent).transpose()
    }

    async fn open_of(
        &self,
        subject: &Subject,
        _now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError> {
        let rows = sqlx::query(OPEN_OF)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, parent)).collect()
    }
}
