//! Rotation knows every column that holds something sealed.

use super::Place;
use crate::storage::conformance::rewraps::every_column;

/// Partitions have their parent's columns.
const COLUMNS: &str = "\
SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
JOIN pg_class r ON r.relname = c.table_name AND r.relnamespace = 'public'::regnamespace AND NOT r.relispartition
WHERE c.table_schema = 'public' AND c.data_type = 'bytea'";

/// Proves: VA5
#[tokio::test]
async fn va5_every_sealed_column_is_rewrapped() {
    let place = Place::migrated().await;
    every_column(sqlx::query_scalar(COLUMNS).fetch_all(&mut place.as_owner().await).await.unwrap());
}
