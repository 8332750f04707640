//! Reading the audit log, in the order (stream, seq).

use super::{PostgresStore, error::unavailable};
use crate::{
    domain::{EventId, Position, StreamId, Timestamp},
    storage::{AuditFilter, AuditLog, AuditRow, StoreError, rows::audit::audit_row},
};
use async_trait::async_trait;

/// Columns by name: a statement prepared before an upgrade added a column goes on working after it.
macro_rules! events {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            "stream, seq, previous_hash, hash, mac_key, mac, body, id, time, tenant, subject, ",
            "workload, provider, kind, outcome, reason ",
            "FROM audit_events ",
            $rest
        )
    };
}

/// One static text for every filter: the server plans it for the parameters at hand, by the index of what is asked for, or along the
/// primary key where most rows match; from the streams of the day that is asked for.
const LIST: &str = events!(
    "WHERE (stream, seq) > ($1, $2) \
       AND ($3 IS NULL OR time >= $3) AND ($4 IS NULL OR time < $4) \
       AND ($5 IS NULL OR tenant = $5) AND ($6 IS NULL OR subject = $6) \
       AND ($7 IS NULL OR workload = $7) AND ($8 IS NULL OR provider = $8) \
       AND ($9 IS NULL OR outcome = $9) \
     ORDER BY stream, seq LIMIT $10"
);

#[async_trait]
impl AuditLog for PostgresStore {
    async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let (stream, seq) = filter.begins_after(after);
        let rows = sqlx::query(LIST)
            .bind(stream)
            .bind(seq)
            .bind(filter.from.map(Timestamp::micros))
            .bind(filter.until.map(Timestamp::micros))
            .bind(filter.tenant.as_deref())
            .bind(filter.subject.as_deref())
            .bind(filter.workload.as_deref())
            .bind(filter.provider.as_deref())
            .bind(filter.outcome.as_deref())
            .bind(i64::from(limit))
            .fetch_all(&self.log_readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(audit_row).collect()
    }

    async fn scan(&self, stream: &StreamId, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(events!("WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3"))
            .bind(stream.as_str())
            .bind(after_seq)
            .bind(i64::from(limit))
            .fetch_all(&self.log_readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(audit_row).collect()
    }

    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError> {
        let query = sqlx::query(events!("WHERE id = $1")).bind(id.as_str());
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(audit_row).transpose()
    }
}
