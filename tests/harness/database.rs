//! The broker's database in the hands of somebody else.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, SqliteConnection};

/// What [`Database::save`] keeps: everything but the ledger, which grows only, and the keys.
const SAVED: [&str; 8] = [
    "connections",
    "connection_secrets",
    "approvals",
    "consents",
    "parent_pages",
    "web_sessions",
    "requests",
    "used_assertions",
];

/// In the order in which one writer wrote them.
const EVENTS: &str = "SELECT stream, seq, kind, outcome, reason, body FROM audit_events ORDER BY stream, seq";

/// A connection of one's own to the broker's database, with every right.
pub struct Database(Inner);

enum Inner {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

/// One row of the audit log.
#[derive(Clone, Debug)]
pub struct Event {
    pub stream: String,
    pub seq: i64,
    pub kind: String,
    pub outcome: String,
    pub reason: String,
    /// The canonical body.
    pub body: Value,
}

impl Event {
    /// The text at a JSON pointer of the body; empty when there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of a list at a JSON pointer of the body.
    pub fn texts(&self, pointer: &str) -> Vec<&str> {
        let list = self.body.pointer(pointer).and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
    }
}

impl Database {
    /// Opens the file beside the broker; references between tables are not enforced.
    pub async fn open(path: &Path) -> Database {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(false)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        Database(Inner::Sqlite(options.connect().await.expect("the broker's database")))
    }

    /// Connects to a PostgreSQL database.
    pub async fn open_postgres(url: &str) -> Database {
        let options: PgConnectOptions = url.parse().expect("a URL");
        let connection = options.disable_statement_logging().connect().await.expect("the broker's database");
        Database(Inner::Postgres(Box::new(connection)))
    }

    /// Ends the connection.
    pub async fn close(self) {
        match self.0 {
            Inner::Sqlite(connection) => connection.close().await,
            Inner::Postgres(connection) => connection.close().await,
        }
        .expect("closes");
    }

    /// Runs one statement; answers how many rows it changed.
    pub async fn run(&mut self, sql: &str) -> u64 {
        let safe = AssertSqlSafe(sql.to_owned());
        let done = match &mut self.0 {
            Inner::Sqlite(c) => sqlx::query(safe).execute(c).await.map(|done| done.rows_affected()),
            Inner::Postgres(c) => sqlx::query(safe).execute(&mut **c).await.map(|done| done.rows_affected()),
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Keeps everybody else from writing the log, until [`Self::let_go`]; they wait up to two seconds for it. Reading goes on.
    pub async fn hold_log(&mut self) {
        match &self.0 {
            Inner::Sqlite(_) => self.run("BEGIN IMMEDIATE").await,
            Inner::Postgres(_) => {
                self.run("BEGIN").await;
                self.run("LOCK TABLE audit_streams IN EXCLUSIVE MODE").await
            }
        };
    }

    /// Lets them write.
    pub async fn let_go(&mut self) {
        self.run("ROLLBACK").await;
    }

    /// Runs statements, parted by semicolons, each of which must change something.
    pub async fn edit(&mut self, sql: &str) {
        for statement in sql.split(';') {
            assert!(self.run(statement).await > 0, "the edit hits nothing: {statement}");
        }
    }

    /// Takes away the triggers of a table, as whoever owns the SQLite file can.
    pub async fn drop_triggers(&mut self, table: &str) {
        let names = format!(
            "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'"
        );
        for trigger in self.text(&names).await.split(',') {
            self.run(&format!("DROP TRIGGER {trigger}")).await;
        }
    }

    /// The first column of the first row, as text.
    pub async fn text(&mut self, sql: &str) -> String {
        let safe = AssertSqlSafe(format!("SELECT CAST(({sql}) AS TEXT)"));
        let found: Result<Option<String>, _> = match &mut self.0 {
            Inner::Sqlite(connection) => sqlx::query_scalar(safe).fetch_one(connection).await,
            Inner::Postgres(connection) => sqlx::query_scalar(safe).fetch_one(&mut **connection).await,
        };
        found.unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap_or_default()
    }

    /// Keeps a copy of every table of a SQLite file that can be put back.
    pub async fn save(&mut self) {
        for table in SAVED {
            self.run(&format!("DROP TABLE IF EXISTS temp.saved_{table}")).await;
            self.run(&format!("CREATE TEMP TABLE saved_{table} AS SELECT * FROM main.{table}")).await;
        }
    }

    /// Puts the copy back.
    pub async fn restore(&mut self) {
        self.run("BEGIN IMMEDIATE").await;
        for table in SAVED {
            self.run(&format!("DELETE FROM main.{table}")).await;
            self.run(&format!("INSERT INTO main.{table} SELECT * FROM temp.saved_{table}")).await;
        }
        self.run("COMMIT").await;
    }

    /// The whole audit log; each stream in order.
    pub async fn events(&mut self) -> Vec<Event> {
        match &mut self.0 {
            Inner::Sqlite(connection) => {
                let rows = sqlx::query(EVENTS).fetch_all(connection).await.expect("the audit log");
                rows.iter().map(of_sqlite).collect()
            }
            Inner::Postgres(connection) => {
                let rows = sqlx::query(EVENTS).fetch_all(&mut **connection).await.expect("the audit log");
                rows.iter().map(of_postgres).collect()
            }
        }
    }

    /// The event with this id.
    pub async fn event(&mut self, id: &str) -> Event {
        let mut events = self.events().await;
        events.retain(|event| event.text("/id") == id);
        events.pop().expect("the event")
    }

    /// The newest event.
    pub async fn last_event(&mut self) -> Event {
        self.events().await.pop().expect("an event")
    }
}

macro_rules! event {
    ($row:expr) => {
        Event {
            stream: $row.get(0),
            seq: $row.get(1),
            kind: $row.get(2),
            outcome: $row.get(3),
            reason: $row.get(4),
            body: serde_json::from_slice(&$row.get::<Vec<u8>, _>(5)).expect("a body in JSON"),
        }
    };
}

fn of_sqlite(row: &SqliteRow) -> Event {
    event!(row)
}

fn of_postgres(row: &PgRow) -> Event {
    event!(row)
}
