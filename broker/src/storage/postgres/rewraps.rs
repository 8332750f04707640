//! Sealed values by the tenant key that wraps them.

use super::{PostgresStore, error::unavailable};
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
WHERE substr(envelope, 1, 32) = $1 AND (connection, kind, scope_key) > ($2, $3, $4)
ORDER BY connection, kind, scope_key LIMIT $5";

const CONSENTS: &str = "\
SELECT id, tenant, realm, subject, workload, provider, connection, reason, scopes, provider_scopes, tool, purpose, created_at,
    expires_at, version, born_epoch, mismatches, state, state_hash, browser_hash, pkce_verifier, obtained_account_id,
    obtained_account_label, obtained_scopes, obtained_refresh, obtained_access, obtained_access_expires_at, result_connection,
    failure, mac FROM consents
WHERE (pkce_verifier IS NOT NULL OR obtained_refresh IS NOT NULL OR obtained_access IS NOT NULL)
  AND (substr(pkce_verifier, 1, 32) = $1 OR substr(obtained_refresh, 1, 32) = $1 OR substr(obtained_access, 1, 32) = $1)
  AND id > $2
ORDER BY id LIMIT $3";

const SUBJECT_KEYS: &str = "\
SELECT id, tenant, subject, wrapped_by, wrapped, created_at FROM subject_keys
WHERE wrapped_by = $1 AND id > $2 ORDER BY id LIMIT $3";

const REPLACE_CONSENT: &str = "\
UPDATE consents SET pkce_verifier = $1, obtained_refresh = $2, obtained_access = $3, mac = $4
WHERE id = $5 AND version = $6 AND mac = $7";

const USES: &str = "\
SELECT (SELECT count(*) FROM connection_secrets WHERE substr(envelope, 1, 32) = $1) AS tokens,
  (SELECT count(*) FROM consents
   WHERE (pkce_verifier IS NOT NULL OR obtained_refresh IS NOT NULL OR obtained_access IS NOT NULL)
     AND (substr(pkce_verifier, 1, 32) = $1 OR substr(obtained_refresh, 1, 32) = $1 OR substr(obtained_access, 1, 32) = $1)) AS consents,
  (SELECT count(*) FROM subject_keys WHERE wrapped_by = $2) AS subject_keys";

/// One statement. Rows that somebody is at are skipped: it never waits for one lock while it holds another, so no commit of the ledger can
/// wait for it in a circle.
const REPLACE_TOKENS: &str = "\
WITH pairs AS (
  SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::BYTEA[], $6::BYTEA[], $7::BYTEA[], $8::BYTEA[])
    AS pair (connection, kind, scope_key, generation, old_envelope, old_mac, envelope, mac)
), free AS (
  SELECT s.ctid, pairs.envelope, pairs.mac FROM connection_secrets s JOIN pairs
    ON s.connection = pairs.connection AND s.kind = pairs.kind AND text_sha256(s.scope_key) = text_sha256(pairs.scope_key)
  WHERE s.generation = pairs.generation AND s.envelope = pairs.old_envelope AND s.mac = pairs.old_mac
  FOR UPDATE OF s SKIP LOCKED
)
UPDATE connection_secrets s SET envelope = free.envelope, mac = free.mac FROM free WHERE s.ctid = free.ctid";

#[async_trait]
impl Rewraps for PostgresStore {
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
            .bind(i64::from(limit));
        query.fetch_all(&self.pool).await.map_err(unavailable)?.iter().map(found_token).collect()
    }

    async fn sealed_consents(
        &self,
        wrapping: &[u8],
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found<String, Consent>>, StoreError> {
        let query = sqlx::query(CONSENTS).bind(wrapping).bind(after).bind(i64::from(limit));
        query.fetch_all(&self.pool).await.map_err(unavailable)?.iter().map(found_consent).collect()
    }

    async fn subject_keys(&self, by: &str, after: &str, limit: u32) -> Result<Vec<WrappedKey>, StoreError> {
        let query = sqlx::query(SUBJECT_KEYS).bind(by).bind(after).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| key(row, "subject_keys")).collect()
    }

    async fn replace_tokens(&self, batch: &[Replacement<SecretRow>]) -> Result<u64, StoreError> {
        let column =
            |value: fn(&Replacement<SecretRow>) -> Vec<u8>| batch.iter().map(value).collect::<Vec<_>>();
        let text = |value: fn(&SecretRow) -> String| {
            batch.iter().map(|pair| value(pair.was.stored_parts().0)).collect::<Vec<_>>()
        };
        let query = sqlx::query(REPLACE_TOKENS)
            .bind(text(|row| row.connection.as_str().to_owned()))
            .bind(text(|row| row.kind.as_str().to_owned()))
            .bind(text(SecretRow::scope_key))
            .bind(batch.iter().map(|pair| pair.was.stored_parts().0.generation).collect::<Vec<_>>())
            .bind(column(|pair| pair.was.stored_parts().0.envelope.to_vec()))
            .bind(column(|pair| pair.was.stored_parts().1.to_bytes()))
            .bind(column(|pair| pair.becomes.stored_parts().0.envelope.to_vec()))
            .bind(column(|pair| pair.becomes.stored_parts().1.to_bytes()));
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected())
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
        let done = query.execute(&self.pool).await.map_err(unavailable)?;
        Ok(done.rows_affected() == 1)
    }

    async fn uses(&self, by: &str, wrapping: &[u8]) -> Result<Uses, StoreError> {
        let query = sqlx::query(USES).bind(wrapping).bind(by);
        uses(&query.fetch_one(&self.pool).await.map_err(unavailable)?)
    }
}
