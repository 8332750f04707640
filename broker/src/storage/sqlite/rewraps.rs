//! Sealed values by the tenant key that wraps them.

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{Consent, SecretRow},
    storage::{
        Found, Replacement, Rewraps, StoreError, TokenPlace, Uses, WrappedKey,
        rows::{
            rewraps::{found_consent, found_token, uses},
            wrapped_keys::key,
        },
    },
};
use async_trait::async_trait;

const TOKENS: &str = "\
SELECT connection, kind, scope_key, scopes, generation, envelope, expires_at, obtained_at, mac FROM connection_secrets
WHERE substr(envelope, 1, 32) = ?1 AND (connection, kind, scope_key) > (?2, ?3, ?4)
ORDER BY connection, kind, scope_key LIMIT ?5";

const CONSENTS: &str = "\
SELECT id, tenant, realm, subject, workload, provider, connection, reason, scopes, provider_scopes, tool, purpose, created_at,
    expires_at, version, born_epoch, mismatches, state, state_hash, browser_hash, pkce_verifier, obtained_account_id,
    obtained_account_label, obtained_scopes, obtained_refresh, obtained_access, obtained_access_expires_at, result_connection,
    failure, mac FROM consents
WHERE (pkce_verifier IS NOT NULL OR obtained_refresh IS NOT NULL OR obtained_access IS NOT NULL)
  AND (substr(pkce_verifier, 1, 32) = ?1 OR substr(obtained_refresh, 1, 32) = ?1 OR substr(obtained_access, 1, 32) = ?1)
  AND id > ?2
ORDER BY id LIMIT ?3";

const SUBJECT_KEYS: &str = "\
SELECT id, tenant, subject, wrapped_by, wrapped, created_at FROM subject_keys
WHERE wrapped_by = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

const REPLACE_CONSENT: &str = "\
UPDATE consents SET pkce_verifier = ?1, obtained_refresh = ?2, obtained_access = ?3, mac = ?4
WHERE id = ?5 AND version = ?6 AND mac = ?7";

const USES: &str = "\
SELECT (SELECT count(*) FROM connection_secrets WHERE substr(envelope, 1, 32) = ?1) AS tokens,
  (SELECT count(*) FROM consents
   WHERE (pkce_verifier IS NOT NULL OR obtained_refresh IS NOT NULL OR obtained_access IS NOT NULL)
     AND (substr(pkce_verifier, 1, 32) = ?1 OR substr(obtained_refresh, 1, 32) = ?1 OR substr(obtained_access, 1, 32) = ?1)) AS consents,
  (SELECT count(*) FROM subject_keys WHERE wrapped_by = ?2) AS subject_keys";

const REPLACE_TOKEN: &str = "\
UPDATE connection_secrets SET envelope = ?1, mac = ?2
WHERE connection = ?3 AND kind = ?4 AND scope_key = ?5 AND generation = ?6 AND envelope = ?7 AND mac = ?8";

#[async_trait]
impl Rewraps for SqliteStore {
    async fn tokens(
        &self,
        wrapping: &[u8],
        after: Option<&TokenPlace>,
        limit: u32,
    ) -> Result<Vec<Found<TokenPlace, SecretRow>>, StoreError> {
        let query = sqlx::query(TOKENS)
            .bind(wrapping)
            .bind(after.map_or("", |place| place.connection.as_str()))
            .bind(after.map_or("", |place| place.kind.as_str()))
            .bind(after.map_or("", |place| place.scope_key.as_str()))
            .bind(limit);
        query.fetch_all(&self.readers).await.map_err(unavailable)?.iter().map(found_token).collect()
    }

    async fn sealed_consents(
        &self,
        wrapping: &[u8],
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found<String, Consent>>, StoreError> {
        let query = sqlx::query(CONSENTS).bind(wrapping).bind(after).bind(limit);
        query.fetch_all(&self.readers).await.map_err(unavailable)?.iter().map(found_consent).collect()
    }

    async fn subject_keys(&self, by: &str, after: &str, limit: u32) -> Result<Vec<WrappedKey>, StoreError> {
        let query = sqlx::query(SUBJECT_KEYS).bind(by).bind(after).bind(limit);
        let rows = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        rows.iter().map(|row| key(row, "subject_keys")).collect()
    }

    async fn replace_tokens(&self, batch: &[Replacement<SecretRow>]) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin().await?;
        let mut replaced = 0;
        for Replacement { was, becomes } in batch {
            let ((was, old_mac), (becomes, mac)) = (was.stored_parts(), becomes.stored_parts());
            let query = sqlx::query(REPLACE_TOKEN)
                .bind(&becomes.envelope[..])
                .bind(mac.to_bytes())
                .bind(was.connection.as_str())
                .bind(was.kind.as_str())
                .bind(was.scope_key())
                .bind(was.generation)
                .bind(&was.envelope[..])
                .bind(old_mac.to_bytes());
            let done = query.execute(transaction.connection()?).await.map_err(unavailable)?;
            replaced += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(replaced)
    }

    async fn replace_consent(&self, consent: &Replacement<Consent>) -> Result<bool, StoreError> {
        let ((was, old_mac), (becomes, mac)) = (consent.was.stored_parts(), consent.becomes.stored_parts());
        let [verifier, refresh, access] = becomes.envelopes();
        let query = sqlx::query(REPLACE_CONSENT)
            .bind(verifier)
            .bind(refresh)
            .bind(access)
            .bind(mac.to_bytes())
            .bind(was.id.as_str())
            .bind(was.version)
            .bind(old_mac.to_bytes());
        let mut held = self.writer.hold().await?;
        let done = query.execute(held.connection()?).await.map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }

    async fn uses(&self, by: &str, wrapping: &[u8]) -> Result<Uses, StoreError> {
        let query = sqlx::query(USES).bind(wrapping).bind(by);
        uses(&query.fetch_one(&self.readers).await.map_err(unavailable)?)
    }
}
