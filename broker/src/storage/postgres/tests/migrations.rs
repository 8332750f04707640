use super::Place;
use crate::storage::{
    SchemaError,
    conformance::samples,
    postgres::{
        OpenError, PostgresStore,
        migrate::{MIGRATIONS, migrate, migrate_database, pending},
    },
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// A migration's statements one by one: what is between `$$` is kept whole.
fn statements(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        statement.push_str(line);
        statement.push('\n');
        let whole = statement.matches("$$").count().is_multiple_of(2);
        if whole && line.ends_with(';') {
            found.push(std::mem::take(&mut statement));
        }
    }
    assert!(statement.trim().is_empty(), "every statement ends");
    found
}

/// A migrator that dies after each statement leaves nothing of its migration, and the next one goes on.
///
/// Proves: AV6
#[tokio::test]
async fn av6_a_migration_killed_at_any_statement_is_run_again() {
    let place = Place::empty();
    let mut tried = 0;
    for (done, migration) in MIGRATIONS.iter().enumerate() {
        let texts = statements(migration.sql);
        for killed_after in 0..=texts.len() {
            let mut victim = place.as_owner().await;
            sqlx::raw_sql("BEGIN").execute(&mut victim).await.unwrap();
            for text in &texts[..killed_after] {
                sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(&mut victim).await.unwrap();
            }
            kill(&place, &mut victim).await;
            let mut owner = place.as_owner().await;
            assert_eq!(
                pending(&mut owner).await.unwrap().len(),
                MIGRATIONS.len() - done,
                "{killed_after} of {}",
                migration.name
            );
            tried += 1;
        }
        // One migration further, as the next round finds it.
        let mut owner = place.as_owner().await;
        let mut transaction = owner.begin().await.unwrap();
        crate::storage::postgres::migrate::next(&mut transaction, samples::NOW).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
    }
    assert!(tried > 100, "every statement was found: {tried}");
    assert_eq!(migrate_database(&place.config, Some(&place.owner_url()), samples::NOW).await.unwrap(), []);
    PostgresStore::open(&place.config).await.unwrap();
}

/// Ends the session from outside, in the middle of its transaction.
async fn kill(place: &Place, victim: &mut PgConnection) {
    let row = sqlx::query("SELECT pg_backend_pid() AS pid").fetch_one(&mut *victim).await.unwrap();
    let pid: i32 = row.get("pid");
    let mut owner = place.as_owner().await;
    sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(pid).execute(&mut owner).await.unwrap();
}

/// Proves: AV6
#[tokio::test]
async fn av6_of_many_migrators_exactly_one_applies_each_migration() {
    let place = Place::empty();
    let one = || async {
        let mut owner = place.as_owner().await;
        migrate(&mut owner, samples::NOW).await.unwrap().len()
    };
    let done = futures::future::join_all((0..6).map(|_| one())).await;
    assert_eq!(done.iter().sum::<usize>(), MIGRATIONS.len(), "{done:?}");
    let row = sqlx::query("SELECT count(*) AS n FROM schema_migrations")
        .fetch_one(&mut place.as_owner().await)
        .await;
    assert_eq!(row.unwrap().get::<i64, _>("n"), i64::try_from(MIGRATIONS.len()).unwrap());
}

#[tokio::test]
async fn a_schema_that_is_not_this_binarys_is_refused() {
    let place = Place::empty();
    let empty = PostgresStore::open(&place.config).await.err();
    assert!(matches!(empty, Some(OpenError::Schema(SchemaError::Pending { first: 1, .. }))), "{empty:?}");
    migrate_database(&place.config, Some(&place.owner_url()), samples::NOW).await.unwrap();
    PostgresStore::open(&place.config).await.unwrap();
    let mut owner = place.as_owner().await;
    let mut edit = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
    };
    edit("INSERT INTO schema_migrations VALUES (999, 'later', '\\x00', 0)").await;
    let newer = PostgresStore::open(&place.config).await.err();
    assert!(matches!(newer, Some(OpenError::Schema(SchemaError::Unknown(999)))), "{newer:?}");
    let newer = migrate_database(&place.config, Some(&place.owner_url()), samples::NOW).await.err();
    assert!(matches!(newer, Some(SchemaError::Unknown(999))), "{newer:?}");
    edit("DELETE FROM schema_migrations WHERE version = 999").await;
    edit("UPDATE schema_migrations SET sha256 = '\\x00' WHERE version = 2").await;
    let changed = PostgresStore::open(&place.config).await.err();
    assert!(matches!(changed, Some(OpenError::Schema(SchemaError::Changed(2)))), "{changed:?}");
    edit("DELETE FROM schema_migrations WHERE version >= 2").await;
    let behind = PostgresStore::open(&place.config).await.err();
    let count = MIGRATIONS.len() - 1;
    assert!(
        matches!(behind, Some(OpenError::Schema(SchemaError::Pending { count: c, first: 2 })) if c == count),
        "{behind:?}"
    );
}

#[tokio::test]
async fn every_table_and_column_and_function_has_a_comment() {
    let place = Place::migrated().await;
    let bare = sqlx::query(
        "SELECT c.relname || coalesce('.' || a.attname, '') AS name
         FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'audit_events_default'
           AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL)
         UNION ALL
         SELECT proname FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL AND proname NOT LIKE 'revocations_%'
         UNION ALL
         SELECT 'not collated: ' || attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND atttypid = 'text'::regtype
           AND attcollation <> '\"C\"'::regcollation",
    )
    .fetch_all(&mut place.as_owner().await)
    .await
    .unwrap();
    let bare: Vec<String> = bare.iter().map(|row| row.get("name")).collect();
    assert!(bare.is_empty(), "{bare:?}");
    let tables = sqlx::query(
        "SELECT count(*) AS n FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
    );
    assert!(tables.fetch_one(&mut place.as_owner().await).await.unwrap().get::<i64, _>("n") >= 17);
}
