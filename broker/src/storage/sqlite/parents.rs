//! Parent pages: reads.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{ParentPage, Subject, Tagged, Timestamp},
    storage::{
        Parents, Readable, StoreError,
        rows::{each, parents::parent},
    },
};
use async_trait::async_trait;

const BY_HANDLE: &str = "SELECT * FROM parent_pages WHERE handle_hash = ?";

const OPEN_OF: &str = "\
SELECT * FROM parent_pages
WHERE tenant = ? AND realm = ? AND subject = ? AND expires_at > ?
ORDER BY created_at DESC LIMIT ?";

#[async_trait]
impl Parents for SqliteStore {
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError> {
        let query = sqlx::query(BY_HANDLE).bind(&handle_hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(parent).transpose()
    }

    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError> {
        let rows = sqlx::query(OPEN_OF)
            .bind(subject.tenant.as_str())
            .bind(subject.realm.as_str())
            .bind(subject.id.as_str())
            .bind(now.micros())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each(row, parent)).collect()
    }
}
