//! Reading the audit log, in the order (stream, seq).

use super::{SqliteStore, error::unavailable};
use crate::{
    domain::{EventId, Position, StreamId, Timestamp},
    storage::{AuditFilter, AuditLog, AuditRow, StoreError, rows::audit::audit_row},
};
use async_trait::async_trait;

/// One static text for every filter. It walks the primary key in order, from the streams of the day that is asked for, so pages are
/// stable; columns people filter on have no index here, which spares the hot path an index write per column and row.
pub(super) const LIST: &str = "\
SELECT * FROM audit_events
WHERE (stream, seq) > (?1, ?2)
  AND (?3 IS NULL OR time >= ?3) AND (?4 IS NULL OR time < ?4)
  AND (?5 IS NULL OR tenant = ?5) AND (?6 IS NULL OR subject = ?6)
  AND (?7 IS NULL OR workload = ?7) AND (?8 IS NULL OR provider = ?8)
  AND (?9 IS NULL OR outcome = ?9)
ORDER BY stream, seq LIMIT ?10";

#[async_trait]
impl AuditLog for SqliteStore {
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
            .bind(limit)
            .fetch_all(&self.log_readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(audit_row).collect()
    }

    async fn scan(&self, stream: &StreamId, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM audit_events WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?")
                .bind(stream.as_str())
                .bind(after_seq)
                .bind(limit)
                .fetch_all(&self.log_readers)
                .await
                .map_err(unavailable)?;
        rows.iter().map(audit_row).collect()
    }

    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM audit_events WHERE id = ?").bind(id.as_str());
        let row = query.fetch_optional(&self.readers).await.map_err(unavailable)?;
        row.as_ref().map(audit_row).transpose()
    }
}
