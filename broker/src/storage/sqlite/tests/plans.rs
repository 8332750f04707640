//! How SQLite runs what would take longer the more there is.

use super::{
    super::{audit_log::LIST, sessions::SWEEPS},
    open_fixture, shell,
};
use sqlx::{AssertSqlSafe, Row};

/// Proves: AU11
#[tokio::test]
async fn au11_a_page_of_the_log_begins_in_its_streams_and_sweeps_go_by_an_index() {
    let (fixture, _store) = open_fixture().await;
    let mut connection = shell(&fixture.home.path().join("broker.db")).await;
    let mut plan = async |statement: &str| {
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explained).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    };
    let page = plan(LIST).await;
    assert!(page.contains("SEARCH") && !page.contains("B-TREE"), "{page}");
    for sweep in SWEEPS {
        let told = plan(sweep).await;
        assert!(told.contains("USING") && told.contains("INDEX"), "{sweep}: {told}");
    }
}
