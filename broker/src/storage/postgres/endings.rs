//! Which tokens end soon.

use super::{PostgresStore, error::unavailable};
use crate::storage::{
    Ending, EndingToken, Endings, Over, Readable, StoreError,
    rows::{connections::ending, each_by},
};
use async_trait::async_trait;

/// What a token's end is compared with is the broker's clock, which counted it; leases and rests are the database's.
const ENDING: &str = "\
SELECT c.id, c.tenant FROM connection_secrets s JOIN connections c ON c.id = s.connection
WHERE s.expires_at > $1 AND s.expires_at <= greatest($2, $3)
  AND ((s.kind = 'access' AND s.expires_at <= $2) OR (s.kind = 'refresh' AND s.expires_at > $4 AND s.expires_at <= $3))
  AND c.provider = $5 AND c.state = 'active' AND c.last_used_at >= $6
  AND (c.lease_until IS NULL OR c.lease_until <= (SELECT broker_clock()))
  AND (c.cooldown_until IS NULL OR c.cooldown_until <= (SELECT broker_clock()))
ORDER BY s.expires_at LIMIT $7";

const OVER: &str = "\
SELECT count(*) FROM connections c WHERE c.provider = $1 AND c.state = 'active' AND (
    (c.expires_at > $2 AND c.expires_at <= $3) OR EXISTS (
        SELECT 1 FROM connection_secrets s
        WHERE s.connection = c.id AND s.kind = 'refresh' AND s.expires_at > $2 AND s.expires_at <= $4))";

#[async_trait]
impl Endings for PostgresStore {
    async fn ending(&self, which: &Ending<'_>) -> Result<Vec<Readable<EndingToken>>, StoreError> {
        let rows = sqlx::query(ENDING)
            .bind(which.access_from.micros())
            .bind(which.access_until.micros())
            .bind(which.refresh_until.micros())
            .bind(which.now.micros())
            .bind(which.provider.as_str())
            .bind(which.used_since.micros())
            .bind(i64::from(which.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| each_by(row, "id", ending)).collect()
    }

    async fn count_over(&self, which: &Over<'_>) -> Result<u64, StoreError> {
        let counted: i64 = sqlx::query_scalar(OVER)
            .bind(which.provider.as_str())
            .bind(which.now.micros())
            .bind(which.absolute_until.micros())
            .bind(which.idle_until.micros())
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }
}
