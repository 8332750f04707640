//! The conformance suite on PostgreSQL, and what is PostgreSQL's alone: roles, migrations, locks, replicas.

mod at_their_time;
mod migrations;
mod plans;
mod plugs;
mod replicas;
mod roles;
mod sealed;
mod used_assertions;

use super::{PostgresStore, migrate::migrate_database};
use crate::{
    config::Postgres,
    domain::SecretString,
    storage::conformance::{Fixture, Sql, conformance, samples},
};
use async_trait::async_trait;
use at_their_time::{AtTheirTime, install_clock};
use broker_testkit::{APPLICATION, OWNER, Server, shared};
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
        Place { config: config_on(shared(), &database), database }
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

    /// A store with the database's clock at whatever time the caller names.
    async fn timed(&self, store: Arc<PostgresStore>) -> Arc<AtTheirTime> {
        Arc::new(AtTheirTime::new(store, self.as_owner().await))
    }

    async fn around(&self, timed: Arc<AtTheirTime>) -> Fixture {
        let store = timed.store.clone();
        Fixture {
            connections: timed.clone(),
            consents: timed.clone(),
            parents: timed.clone(),
            sessions: timed.clone(),
            requests: timed.clone(),
            ledger: timed,
            sql: Arc::new(Shell(Mutex::new(self.as_owner().await))),
            ..Place::plain(store)
        }
    }

    /// On the server's own clock, and without a shell.
    fn plain(store: Arc<PostgresStore>) -> Fixture {
        Fixture {
            connections: store.clone(),
            endings: store.clone(),
            approvals: store.clone(),
            consents: store.clone(),
            parents: store.clone(),
            sessions: store.clone(),
            requests: store.clone(),
            wrapped_keys: store.clone(),
            rewraps: store.clone(),
            ledger: store.clone(),
            audit_log: store.clone(),
            wakeups: store,
            sql: Arc::new(NoShell),
            home: tempfile::tempdir().unwrap(),
        }
    }
}

/// The fixture and the store behind it.
async fn fixture_of(place: &Place) -> (Fixture, Arc<PostgresStore>) {
    install_clock(&mut place.as_owner().await).await;
    let store = place.open().await;
    let timed = place.timed(store.clone()).await;
    (place.around(timed).await, store)
}

struct NoShell;

#[async_trait]
impl Sql for NoShell {
    async fn run(&self, statement: &'static str) -> Result<u64, String> {
        Err(format!("nobody runs {statement}"))
    }
}

fn config_on(server: &Server, database: &str) -> Postgres {
    let url = SecretString::from(server.url(APPLICATION, database));
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
    fixture_of(&Place::migrated().await).await.0
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
    // No text that is not UTF-8: something else that is no id.
    let statement = statement.replace("CAST(x'ff' AS TEXT)", "chr(255)");
    statement.replace("= x'", "= '\\x").replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')")
}

conformance!(fixture);
