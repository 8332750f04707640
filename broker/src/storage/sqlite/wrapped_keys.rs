//! Wrapped tenant and subject keys. Making one is no decision about anybody: single statements, outside the ledger.

use super::{
    SqliteStore,
    error::{is_duplicate, unavailable},
};
use crate::storage::{
    StoreError, WrappedKey, WrappedKeys,
    rows::wrapped_keys::{count, key},
};
use async_trait::async_trait;

const TENANT_KEYS: &str = "\
SELECT id, tenant, '' AS subject, wrapped_by, wrapped, created_at FROM tenant_keys
WHERE tenant = ? ORDER BY created_at DESC, id DESC";

const INSERT_TENANT_KEY: &str = "\
INSERT INTO tenant_keys (id, tenant, wrapped_by, wrapped, created_at)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT ?6 OR NOT EXISTS (SELECT 1 FROM tenant_keys WHERE tenant = ?2)";

const INSERT_SUBJECT_KEY: &str = "\
INSERT INTO subject_keys (id, tenant, wrapped_by, wrapped, created_at, subject) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const REWRAP_TENANT_KEY: &str = "\
UPDATE tenant_keys SET wrapped_by = ?1, wrapped = ?2 WHERE id = ?3 AND wrapped_by = ?4 AND wrapped = ?5";

const REWRAP_SUBJECT_KEY: &str = "\
UPDATE subject_keys SET wrapped_by = ?1, wrapped = ?2 WHERE id = ?3 AND wrapped_by = ?4 AND wrapped = ?5";

#[async_trait]
impl WrappedKeys for SqliteStore {
    async fn tenant_keys(&self, tenant: &str) -> Result<Vec<WrappedKey>, StoreError> {
        let query = sqlx::query(TENANT_KEYS).bind(tenant);
        let rows = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        rows.iter().map(|row| key(row, "tenant_keys")).collect()
    }

    async fn subject_key(&self, tenant: &str, pseudonym: &str) -> Result<Option<WrappedKey>, StoreError> {
        let row = sqlx::query("SELECT * FROM subject_keys WHERE tenant = ? AND subject = ?")
            .bind(tenant)
            .bind(pseudonym)
            .fetch_optional(&self.readers)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(|row| key(row, "subject_keys")).transpose()
    }

    async fn insert(&self, key: &WrappedKey, first_of_tenant: bool) -> Result<(), StoreError> {
        let of_tenant = key.subject.is_empty();
        let query = sqlx::query(if of_tenant { INSERT_TENANT_KEY } else { INSERT_SUBJECT_KEY })
            .bind(key.id.as_str())
            .bind(key.tenant.as_str())
            .bind(key.wrapped_by.as_str())
            .bind(&key.wrapped[..])
            .bind(key.created_at.micros());
        let query = if of_tenant { query.bind(first_of_tenant) } else { query.bind(key.subject.as_str()) };
        let mut held = self.writer.hold().await?;
        match query.execute(held.connection()?).await {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(StoreError::Exists),
            Err(error) if is_duplicate(&error) => Err(StoreError::Exists),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn rewrap(&self, was: &WrappedKey, wrapped_by: &str, wrapped: &[u8]) -> Result<bool, StoreError> {
        let query = sqlx::query(if was.subject.is_empty() { REWRAP_TENANT_KEY } else { REWRAP_SUBJECT_KEY })
            .bind(wrapped_by)
            .bind(wrapped)
            .bind(was.id.as_str())
            .bind(was.wrapped_by.as_str())
            .bind(&was.wrapped[..]);
        let mut held = self.writer.hold().await?;
        let done = query.execute(held.connection()?).await.map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }

    async fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let query =
            sqlx::query("SELECT tenant, count(*) AS keys FROM tenant_keys GROUP BY tenant ORDER BY tenant");
        query.fetch_all(&self.readers).await.map_err(unavailable)?.iter().map(count).collect()
    }
}
