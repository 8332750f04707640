//! The conformance suite on PostgreSQL, and what is PostgreSQL's alone: roles, migrations, locks, replicas.

mod at_their_time;

use super::{PostgresStore, migrate::migrate_database};
use crate::{
    config::Postgres,
    domain::SecretString,
    storage::conformance::{Fixture, Sql, conformance, samples},
};
use async_trait::async_trait;
use at_their_time::{AtTheirTime, install_clock};
use broker_testkit::{APPLICATION, OWNER, shared};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use tokio::sync::Mutex;

/// A migrated database of its own on the server the tests share.
struct Place {
    database: String,
    config: Postgres,
}

impl Place {
    fn empty() -> Place {
        let database = shared().database();
        Place { config: config(&database), database }
    }

    async fn migrated() -> Place {
        let place = Place::empty();
        migrate_database(&place.config, Some(&place.owner_url()), samples::NOW).await.unwrap();
        place
    }

    fn owner_url(&self) -> SecretString {
        SecretString::from(shared().url(OWNER, &self.database))
    }

    async fn as_owner(&self) -> PgConnection {
        PgConnection::connect(&shared().url(OWNER, &self.database)).await.unwrap()
    }

    async fn as_application(&self) -> PgConnection {
        PgConnection::connect(&shared().url(APPLICATION, &self.database)).await.unwrap()
    }

    async fn open(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(&self.config).await.unwrap())
    }

    /// The store behind its traits, with the database's clock at whatever time the caller names.
    async fn fixture(&self) -> (Fixture, Arc<PostgresStore>) {
        let mut owner = self.as_owner().await;
        install_clock(&mut owner).await;
        let store = self.open().await;
        let timed = Arc::new(AtTheirTime::new(store.clone(), self.as_owner().await));
        let fixture = Fixture {
            connections: timed.clone(),
            approvals: store.clone(),
            consents: timed.clone(),
            sessions: timed.clone(),
            requests: timed.clone(),
            wrapped_keys: store.clone(),
            ledger: timed,
            audit_log: store.clone(),
            wakeups: store.clone(),
            sql: Arc::new(Shell(Mutex::new(owner))),
            home: tempfile::tempdir().unwrap(),
        };
        (fixture, store)
    }
}

fn config(database: &str) -> Postgres {
    let url = SecretString::from(shared().url(APPLICATION, database));
    Postgres {
        url: url.clone(),
        direct_url: url,
        ca_file: None,
        tls: false,
        max_connections: 4,
        // The shared server runs without fsync.
        development: true,
    }
}

async fn fixture() -> Fixture {
    Place::migrated().await.fixture().await.0
}

/// The owner's shell. What the suite says in SQLite's words is said in PostgreSQL's.
struct Shell(Mutex<PgConnection>);

#[async_trait]
impl Sql for Shell {
    async fn run(&self, statement: &'static str) -> Result<u64, String> {
        let statement = in_postgres(statement);
        let mut connection = self.0.lock().await;
        let done = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
    }
}

fn in_postgres(statement: &str) -> String {
    if let Some(trigger) = statement.strip_prefix("DROP TRIGGER ") {
        let table = trigger.split("_no_").next().unwrap();
        return format!("DROP TRIGGER {trigger} ON {table}");
    }
    // There is no REPLACE: an upsert is what would replace here.
    if let Some(rest) = statement.strip_prefix("INSERT OR REPLACE INTO ") {
        let (key, column) = match rest.split(' ').next().unwrap() {
            "revocations" => ("epoch", "kind"),
            "audit_streams" => ("stream", "opened_at"),
            _ => ("stream, seq", "outcome"),
        };
        let value = if column == "opened_at" { "0" } else { "'denied'" };
        return format!("INSERT INTO {rest} ON CONFLICT ({key}) DO UPDATE SET {column} = {value}");
    }
    let mut text = statement.replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')");
    while let Some(start) = text.find("x'") {
        text.replace_range(start..start + 2, "'\\x");
    }
    text
}

conformance!(fixture);
