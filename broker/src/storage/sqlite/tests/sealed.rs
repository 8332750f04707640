//! Rotation knows every column that holds something sealed.

use super::{open_fixture, shell};
use crate::storage::conformance::rewraps::every_column;

const COLUMNS: &str = "\
SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
WHERE t.type = 'table' AND c.type = 'BLOB'";

/// Proves: VA5
#[tokio::test]
async fn va5_every_sealed_column_is_rewrapped() {
    let (fixture, _store) = open_fixture().await;
    let mut shell = shell(&fixture.home.path().join("broker.db")).await;
    every_column(sqlx::query_scalar(COLUMNS).fetch_all(&mut shell).await.unwrap());
}
