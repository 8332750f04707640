use super::{Place, fixture_of};
use crate::{
    domain::{Entry, Group},
    storage::{
        conformance::{pen::Pen, samples},
        postgres::{OpenError, PostgresStore},
    },
};
use sqlx::{AssertSqlSafe, Row};

/// What the application role must not be able to do to one table of the log; `{t}` is the table.
const ON_A_TABLE: [&str; 13] = [
    "UPDATE {t} SET outcome = 'denied'",
    "UPDATE {t} SET seq = seq + 1",
    "DELETE FROM {t}",
    "TRUNCATE {t}",
    "DROP TABLE {t}",
    "ALTER TABLE {t} ADD COLUMN more TEXT",
    "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "DROP TRIGGER audit_events_no_truncate ON {t}",
    "CREATE TRIGGER mine BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE INDEX mine ON {t} (time)",
    "CREATE RULE mine AS ON INSERT TO {t} DO INSTEAD NOTHING",
    "DO $$ BEGIN LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE; END $$",
];

const ELSEWHERE: [&str; 35] = [
    "UPDATE revocations SET kind = 'lift'",
    "DELETE FROM revocations",
    "TRUNCATE revocations",
    "DROP TABLE revocations",
    "ALTER TABLE revocations DISABLE TRIGGER ALL",
    "DROP TRIGGER revocations_no_delete ON revocations",
    "UPDATE audit_streams SET opened_at = 0",
    "UPDATE audit_streams SET stream = 'str_other'",
    "DELETE FROM audit_streams",
    "TRUNCATE audit_streams",
    "DROP TABLE audit_streams",
    "ALTER TABLE audit_streams DISABLE TRIGGER ALL",
    "DELETE FROM connections",
    "DELETE FROM approvals",
    "DELETE FROM consents",
    "DELETE FROM tenant_keys",
    "TRUNCATE requests",
    "UPDATE used_assertions SET expires_at = 0",
    "TRUNCATE used_assertions",
    "UPDATE schema_migrations SET version = 1",
    "DELETE FROM schema_migrations",
    "INSERT INTO schema_migrations VALUES (99, '', '', 0)",
    "ALTER TABLE audit_events DETACH PARTITION audit_events_default",
    "CREATE TABLE mine (a INT)",
    "CREATE TABLE mine PARTITION OF audit_events FOR VALUES FROM ('a') TO ('b')",
    "CREATE TEMPORARY TABLE audit_events (a INT)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS INT LANGUAGE sql RETURN 1",
    "CREATE OR REPLACE FUNCTION broker_clock() RETURNS BIGINT LANGUAGE sql RETURN 0",
    "DROP FUNCTION broker_clock()",
    "ALTER FUNCTION broker_clock() RENAME TO other_clock",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "SELECT grant_application(current_user)",
    "SET session_replication_role = replica",
    "SET ROLE broker_owner",
];

/// Proves: AU4, AU16
#[tokio::test]
async fn au4_au16_the_application_role_adds_to_the_log_and_can_do_nothing_else_to_it() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    pen.commit(&[Group {
        entries: vec![samples::note(), Entry::note(samples::draft(crate::domain::EventKind::CallDenied))],
    }])
    .await
    .unwrap();
    let mut owner = place.as_owner().await;
    let partitions = sqlx::query(
        "SELECT inhrelid::regclass::TEXT AS name FROM pg_inherits WHERE inhparent = 'audit_events'::regclass",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let mut tables: Vec<String> = partitions.iter().map(|row| row.get("name")).collect();
    assert!(tables.len() >= 5, "this month, three ahead and the default: {tables:?}");
    tables.push("audit_events".to_owned());
    let mut application = place.as_application().await;
    let on_tables = tables.iter().flat_map(|table| ON_A_TABLE.map(|sql| sql.replace("{t}", table)));
    for sql in on_tables.chain(ELSEWHERE.map(str::to_owned)) {
        let refused = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut application).await;
        let error = refused.expect_err(&sql);
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned();
        assert_eq!(code, "42501", "{sql}: {error}");
    }
    // Nor in a partition directly, past the parent: rows come by their stream's head or not at all.
    for table in tables.iter().filter(|table| *table != "audit_events") {
        for sql in
            [format!("INSERT INTO {table} SELECT * FROM audit_events"), format!("SELECT * FROM {table}")]
        {
            sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut application).await.expect_err(&sql);
        }
    }
    sqlx::raw_sql("UPDATE audit_streams SET heartbeat_at = heartbeat_at")
        .execute(&mut application)
        .await
        .unwrap();
    let back = sqlx::raw_sql("UPDATE audit_streams SET seq = seq - 1").execute(&mut application).await;
    assert!(back.unwrap_err().to_string().contains("only moves forward"), "the trigger stands for the rest");
    assert_eq!(pen.entry(samples::note()).await, crate::domain::Applied::Yes, "and it goes on serving");
}

/// Proves: AU16
#[tokio::test]
async fn au16_every_partition_present_and_future_refuses_even_its_owner() {
    let place = Place::migrated().await;
    let mut owner = place.as_owner().await;
    // As a later month's start makes them.
    let row = sqlx::query("SELECT audit_partitions_ahead(9) AS made").fetch_one(&mut owner).await.unwrap();
    assert_eq!(row.get::<i32, _>("made"), 6);
    let row = sqlx::query("SELECT audit_partitions_ahead(9) AS made").fetch_one(&mut owner).await.unwrap();
    assert_eq!(row.get::<i32, _>("made"), 0, "once is enough");
    let (fixture, _store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    pen.commit(&[Group { entries: vec![samples::note()] }]).await.unwrap();
    let partitions = sqlx::query(
        "SELECT inhrelid::regclass::TEXT AS name FROM pg_inherits WHERE inhparent = 'audit_events'::regclass",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(partitions.len(), 11);
    let mut rows = 0;
    for partition in &partitions {
        let name: String = partition.get("name");
        // One row, so that a row trigger has something to refuse; it is put there past the parent, as its owner can.
        let count = sqlx::query(AssertSqlSafe(format!("SELECT count(*) AS n FROM {name}")))
            .fetch_one(&mut owner)
            .await;
        rows += count.unwrap().get::<i64, _>("n");
        for sql in [
            format!("TRUNCATE {name}"),
            format!("DROP TRIGGER audit_events_no_update ON {name}"),
            format!("DROP TRIGGER audit_events_no_delete ON {name}"),
        ] {
            let refused =
                sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut owner).await.expect_err(&sql);
            assert!(
                refused.to_string().contains("insert-only") || refused.to_string().contains("requires it"),
                "{sql}: {refused}"
            );
        }
    }
    assert_eq!(rows, 1);
    for sql in ["UPDATE audit_events SET time = 0", "DELETE FROM audit_events", "TRUNCATE audit_events"] {
        let refused = sqlx::raw_sql(sql).execute(&mut owner).await.expect_err(sql);
        assert!(refused.to_string().contains("insert-only"), "{refused}");
    }
}

#[tokio::test]
async fn streams_lie_in_the_partition_of_the_month_they_were_opened_in() {
    let place = Place::migrated().await;
    let mut owner = place.as_owner().await;
    for (time, micros) in [
        ("2026-11-01 00:00:00+00", 1_793_491_200_000_000_i64),
        ("2027-01-31 23:59:59.999999+00", 1_801_439_999_999_999),
    ] {
        let stream = crate::domain::StreamId::opened_at(
            crate::domain::Timestamp::from_micros(micros),
            &samples::rng(),
        );
        let before = crate::domain::StreamId::opened_at(
            crate::domain::Timestamp::from_micros(micros - 1),
            &samples::rng(),
        );
        let row = sqlx::query("SELECT audit_stream_bound($1::TEXT::TIMESTAMPTZ) AS bound").bind(time);
        let bound: String = row.fetch_one(&mut owner).await.unwrap().get("bound");
        assert!(
            bound.as_str() <= stream.as_str() && before.as_str() < bound.as_str(),
            "{before} {bound} {stream}"
        );
    }
}

#[tokio::test]
async fn a_role_that_could_edit_the_log_does_not_serve() {
    let place = Place::migrated().await;
    let mut config = place.config.clone();
    config.url = place.owner_url();
    config.development = false;
    // The shared server runs without fsync, and that is told first.
    let refused = PostgresStore::open(&config).await.err();
    assert!(matches!(refused, Some(OpenError::Server(why)) if why.contains("fsync")), "{refused:?}");
    let pool = crate::storage::postgres::connect::pool(&config).await.unwrap();
    let refused = crate::storage::postgres::server::check_rights(&pool, false).await;
    assert!(matches!(refused, Err(OpenError::TooManyRights)), "{refused:?}");
    let pool = crate::storage::postgres::connect::pool(&place.config).await.unwrap();
    crate::storage::postgres::server::check_rights(&pool, false).await.unwrap();
}
