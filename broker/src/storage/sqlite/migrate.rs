//! Brings a file to the schema this binary works with. Rules: `migrations/README.md`.

use super::error::unavailable;
pub use crate::storage::schema::{AppliedMigration, Migration, SchemaError};
use crate::{
    domain::Timestamp,
    storage::{StoreError, schema::missing},
};
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

/// Every migration, oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "connections",
        sql: include_str!("../../../../migrations/sqlite/0001_connections.sql"),
    },
    Migration {
        version: 2,
        name: "consents",
        sql: include_str!("../../../../migrations/sqlite/0002_consents.sql"),
    },
    Migration {
        version: 3,
        name: "ledger",
        sql: include_str!("../../../../migrations/sqlite/0003_ledger.sql"),
    },
    Migration { version: 4, name: "keys", sql: include_str!("../../../../migrations/sqlite/0004_keys.sql") },
    Migration {
        version: 5,
        name: "token holders",
        sql: include_str!("../../../../migrations/sqlite/0005_token_holders.sql"),
    },
    Migration {
        version: 6,
        name: "parent pages",
        sql: include_str!("../../../../migrations/sqlite/0006_parent_pages.sql"),
    },
    Migration {
        version: 7,
        name: "sweeps",
        sql: include_str!("../../../../migrations/sqlite/0007_sweeps.sql"),
    },
    Migration {
        version: 8,
        name: "attempts",
        sql: include_str!("../../../../migrations/sqlite/0008_attempts.sql"),
    },
    Migration {
        version: 9,
        name: "rewrap",
        sql: include_str!("../../../../migrations/sqlite/0009_rewrap.sql"),
    },
    Migration {
        version: 10,
        name: "used assertions",
        sql: include_str!("../../../../migrations/sqlite/0010_used_assertions.sql"),
    },
];

const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER NOT NULL PRIMARY KEY, -- the migration's number
    name       TEXT    NOT NULL, -- what it does
    sha256     BLOB    NOT NULL, -- SHA-256 of its text when it was applied
    applied_at INTEGER NOT NULL  -- when, microseconds since 1970, UTC
) STRICT";

/// Whether the file holds nothing at all.
///
/// # Errors
/// [`SchemaError::Store`].
pub async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, SchemaError> {
    let row = sqlx::query("SELECT count(*) AS n FROM sqlite_schema").fetch_one(connection).await;
    let tables: i64 = row.and_then(|row| row.try_get("n")).map_err(unavailable)?;
    Ok(tables == 0)
}

/// Migrations that are missing, oldest first.
///
/// # Errors
/// [`SchemaError::Unknown`], [`SchemaError::Changed`], [`SchemaError::Store`].
pub async fn pending(connection: &mut SqliteConnection) -> Result<Vec<&'static Migration>, SchemaError> {
    missing(MIGRATIONS, &applied(connection).await?)
}

/// Refuses a schema that is not exactly this binary's.
///
/// # Errors
/// [`SchemaError`].
pub async fn check_schema(connection: &mut SqliteConnection) -> Result<(), SchemaError> {
    let missing = pending(connection).await?;
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(SchemaError::Pending { count: missing.len(), first: first.version }),
    }
}

/// Applies what is missing, each migration in one exclusive transaction. A caller that stops waiting must drop the
/// connection: closing it rolls back.
///
/// # Errors
/// [`SchemaError`]; what was applied before the error stays.
pub async fn migrate(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<AppliedMigration>, SchemaError> {
    let mut done = Vec::new();
    loop {
        execute(connection, "BEGIN EXCLUSIVE").await?;
        // Read under the lock: of two migrators the second finds the work done.
        match next(connection, now).await {
            Ok(Some(applied)) => {
                execute(connection, "COMMIT").await?;
                done.push(applied);
            }
            Ok(None) => {
                execute(connection, "ROLLBACK").await?;
                return Ok(done);
            }
            Err(error) => {
                // On a full disk SQLite may have rolled back by itself, and then this one fails.
                execute(connection, "ROLLBACK").await.ok();
                return Err(error);
            }
        }
    }
}

/// Sets up an empty database: every migration in one transaction, so that a process killed in the middle leaves it empty
/// and the next start needs no human.
///
/// # Errors
/// [`SchemaError`]; then it is as empty as before.
pub async fn set_up(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), SchemaError> {
    execute(connection, "BEGIN EXCLUSIVE").await?;
    let all = async {
        while next(connection, now).await?.is_some() {}
        Ok(())
    };
    let done = all.await;
    match done {
        Ok(()) => execute(connection, "COMMIT").await,
        Err(error) => {
            execute(connection, "ROLLBACK").await.ok();
            Err(error)
        }
    }
}

async fn next(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Option<AppliedMigration>, SchemaError> {
    let Some(&migration) = pending(connection).await?.first() else { return Ok(None) };
    execute(connection, TABLE).await?;
    execute(connection, migration.sql).await?;
    sqlx::query("INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES (?, ?, ?, ?)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.sha256())
        .bind(now.micros())
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(Some(AppliedMigration { version: migration.version, name: migration.name }))
}

async fn applied(connection: &mut SqliteConnection) -> Result<BTreeMap<i64, Vec<u8>>, SchemaError> {
    let known =
        sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'")
            .fetch_optional(&mut *connection)
            .await
            .map_err(unavailable)?;
    if known.is_none() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query("SELECT version, sha256 FROM schema_migrations ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    rows.iter()
        .map(|row| Ok((row.try_get("version")?, row.try_get("sha256")?)))
        .collect::<Result<_, _>>()
        .map_err(|_: sqlx::Error| {
            SchemaError::Store(StoreError::Malformed { table: "schema_migrations", column: "version" })
        })
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), SchemaError> {
    sqlx::raw_sql(sql).execute(connection).await.map_err(unavailable)?;
    Ok(())
}
