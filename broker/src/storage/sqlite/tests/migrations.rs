use super::shell;
use crate::storage::{
    conformance::samples,
    sqlite::{
        OpenError, SchemaError, SqliteStore,
        migrate::{MIGRATIONS, migrate, pending},
        migrate_file,
    },
};
use sqlx::{AssertSqlSafe, Row};
use std::{fs, path::Path};

/// A migration's statements one by one: comments dropped, a trigger kept whole.
fn statements(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    for line in sql.lines().map(|line| line.split("--").next().unwrap_or_default().trim_end()) {
        statement.push_str(line);
        statement.push('\n');
        let trigger = statement.trim_start().starts_with("CREATE TRIGGER");
        if if trigger { line == "END;" } else { line.ends_with(';') } {
            found.push(std::mem::take(&mut statement));
        }
    }
    found
}

#[tokio::test]
async fn a_migration_killed_at_any_statement_is_run_again() {
    let all: Vec<(usize, Vec<String>)> = MIGRATIONS.iter().map(|m| statements(m.sql)).enumerate().collect();
    assert!(all.iter().map(|(_, s)| s.len()).sum::<usize>() > 25, "every statement is found");
    for (done, texts) in &all {
        for killed_after in 0..=texts.len() {
            let home = tempfile::tempdir().unwrap();
            let (running, path) = (home.path().join("running.db"), home.path().join("killed.db"));
            let mut connection = shell(&running).await;
            sqlx::query("PRAGMA journal_mode = wal").execute(&mut connection).await.unwrap();
            apply_first(&mut connection, *done).await;
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
            for text in &texts[..killed_after] {
                sqlx::query(AssertSqlSafe(text.clone())).execute(&mut connection).await.unwrap();
            }
            // What a kill leaves: the files as they are at this moment.
            fs::copy(&running, &path).unwrap();
            fs::copy(home.path().join("running.db-wal"), home.path().join("killed.db-wal")).unwrap();
            let applied = migrate_file(&path, samples::NOW).await.unwrap();
            assert_eq!(applied.len(), MIGRATIONS.len() - done, "after {killed_after} of {}", done + 1);
            assert_eq!(migrate_file(&path, samples::NOW).await.unwrap(), [], "and once is enough");
            SqliteStore::open(&path, samples::NOW).await.unwrap();
        }
    }
}

/// A database whose first `count` migrations are applied.
async fn apply_first(connection: &mut sqlx::SqliteConnection, count: usize) {
    for migration in &MIGRATIONS[..count] {
        sqlx::raw_sql(migration.sql).execute(&mut *connection).await.unwrap();
    }
    if count == 0 {
        return;
    }
    sqlx::query("CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL, applied_at INTEGER NOT NULL) STRICT")
        .execute(&mut *connection)
        .await
        .unwrap();
    for migration in &MIGRATIONS[..count] {
        sqlx::query("INSERT INTO schema_migrations VALUES (?, ?, ?, 0)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.sha256())
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

async fn edited(path: &Path, sql: &'static str) {
    let mut connection = shell(path).await;
    sqlx::query(sql).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_is_not_this_binarys_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("broker.db");
    assert_eq!(migrate_file(&path, samples::NOW).await.unwrap().len(), MIGRATIONS.len());
    assert!(pending(&mut shell(&path).await).await.unwrap().is_empty());

    edited(&path, "INSERT INTO schema_migrations VALUES (999, 'later', x'00', 0)").await;
    let newer = SqliteStore::open(&path, samples::NOW).await.err();
    assert!(matches!(newer, Some(OpenError::Schema(SchemaError::Unknown(999)))), "{newer:?}");
    let newer = migrate(&mut shell(&path).await, samples::NOW).await.err();
    assert!(matches!(newer, Some(SchemaError::Unknown(999))), "{newer:?}");
    edited(&path, "DELETE FROM schema_migrations WHERE version = 999").await;

    edited(&path, "UPDATE schema_migrations SET sha256 = x'00' WHERE version = 2").await;
    let changed = SqliteStore::open(&path, samples::NOW).await.err();
    assert!(matches!(changed, Some(OpenError::Schema(SchemaError::Changed(2)))), "{changed:?}");

    // Not empty and not up to date: an operator's `broker migrate` is wanted, serving does not do it on the side.
    edited(&path, "DELETE FROM schema_migrations WHERE version >= 2").await;
    let behind = SqliteStore::open(&path, samples::NOW).await.err();
    let count = MIGRATIONS.len() - 1;
    assert!(
        matches!(behind, Some(OpenError::Schema(SchemaError::Pending { count: c, first: 2 })) if c == count),
        "{behind:?}"
    );
    let reader = SqliteStore::open_read_only(&path).await.err();
    assert!(matches!(reader, Some(OpenError::Schema(SchemaError::Pending { .. }))), "{reader:?}");
}

#[tokio::test]
async fn every_table_is_strict_and_every_table_and_column_has_a_comment() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("broker.db");
    migrate_file(&path, samples::NOW).await.unwrap();
    let mut connection = shell(&path).await;
    let tables = sqlx::query("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(tables.len() >= 13);
    for table in &tables {
        let (name, sql): (String, String) = (table.get("name"), table.get("sql"));
        assert!(sql.ends_with("STRICT"), "{name}");
        let columns = sqlx::query("SELECT name FROM pragma_table_info(?)").bind(&name);
        for column in columns.fetch_all(&mut connection).await.unwrap() {
            let column: String = column.get("name");
            // A column that was added later stands behind the default of the one before.
            let names = |line: &&str| {
                line.split("-- ").next().unwrap_or_default().split_whitespace().any(|word| word == column)
            };
            let line = sql.lines().find(names);
            assert!(line.is_some_and(|line| line.contains("-- ")), "{name}.{column} has a comment beside it");
        }
        let above = |sql: &str| {
            let before = sql.split(&format!("CREATE TABLE {name} (")).next().unwrap_or_default();
            before.lines().last().is_some_and(|line| line.starts_with("-- "))
        };
        let commented =
            MIGRATIONS.iter().any(|m| m.sql.contains(&format!("CREATE TABLE {name} (")) && above(m.sql));
        assert!(commented || name == "schema_migrations", "{name} has a comment above it");
    }
}
