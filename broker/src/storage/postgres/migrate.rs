//! Brings a database to the schema this binary works with. Rules: `migrations/README.md`.

use super::{connect, error::unavailable};
use crate::{
    config::Postgres,
    domain::{SecretString, Timestamp},
    storage::{AppliedMigration, Migration, SchemaError, StoreError, schema::missing},
};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use std::collections::BTreeMap;

/// Every migration, oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "connections",
        sql: include_str!("../../../../migrations/postgres/0001_connections.sql"),
    },
    Migration {
        version: 2,
        name: "consents",
        sql: include_str!("../../../../migrations/postgres/0002_consents.sql"),
    },
    Migration {
        version: 3,
        name: "ledger",
        sql: include_str!("../../../../migrations/postgres/0003_ledger.sql"),
    },
    Migration {
        version: 4,
        name: "keys",
        sql: include_str!("../../../../migrations/postgres/0004_keys.sql"),
    },
    Migration {
        version: 5,
        name: "roles",
        sql: include_str!("../../../../migrations/postgres/0005_roles.sql"),
    },
    Migration {
        version: 6,
        name: "parent pages",
        sql: include_str!("../../../../migrations/postgres/0006_parent_pages.sql"),
    },
    Migration {
        version: 7,
        name: "sweeps",
        sql: include_str!("../../../../migrations/postgres/0007_sweeps.sql"),
    },
    Migration {
        version: 8,
        name: "attempts",
        sql: include_str!("../../../../migrations/postgres/0008_attempts.sql"),
    },
    Migration {
        version: 9,
        name: "rewrap",
        sql: include_str!("../../../../migrations/postgres/0009_rewrap.sql"),
    },
    Migration {
        version: 10,
        name: "used assertions",
        sql: include_str!("../../../../migrations/postgres/0010_used_assertions.sql"),
    },
];

const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT COLLATE \"C\" NOT NULL,
    sha256 BYTEA NOT NULL,
    applied_at BIGINT NOT NULL
);
COMMENT ON TABLE schema_migrations IS 'Migrations that were applied';
COMMENT ON COLUMN schema_migrations.version IS 'the migration''s number';
COMMENT ON COLUMN schema_migrations.name IS 'what it does';
COMMENT ON COLUMN schema_migrations.sha256 IS 'SHA-256 of its text when it was applied';
COMMENT ON COLUMN schema_migrations.applied_at IS 'when, microseconds since 1970, UTC'";

/// A second migrator waits for the first one, for as long as a migration may take. The lock ends with the session, however it ends.
const LOCK: &str = "\
SET statement_timeout = 0;
SET lock_timeout = '10min';
SELECT pg_advisory_lock(7233108, 1);
SET lock_timeout = '30s'";

/// Through a pooler in transaction mode another session would hold the lock.
const HOLDS_LOCK: &str = "\
SELECT 1 FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 7233108 AND objid = 1 AND granted";

/// Brings the database to this binary's schema and says what was applied. `owner_url` reaches it directly, as its owner; then the role of
/// the configuration gets the rights of the serving broker, and no other. Without it the configured role owns everything.
///
/// # Errors
/// [`SchemaError`]; what was applied before the error stays.
pub async fn migrate_database(
    config: &Postgres,
    owner_url: Option<&SecretString>,
    now: Timestamp,
) -> Result<Vec<AppliedMigration>, SchemaError> {
    let ca = config.ca_file.as_deref();
    let role = connect::options(&config.url, config.tls, ca)?;
    let owner = connect::options(owner_url.unwrap_or(&config.direct_url), config.tls, ca)?;
    let mut connection = owner.connect().await.map_err(unavailable)?;
    let applied = migrate(&mut connection, now).await?;
    grant(&mut connection, role.get_username()).await?;
    connection.close().await.map_err(unavailable)?;
    Ok(applied)
}

/// Applies what is missing, each migration in a transaction of its own together with its record. A caller that stops waiting must drop
/// the connection: the server rolls back.
///
/// # Errors
/// [`SchemaError`].
pub async fn migrate(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<AppliedMigration>, SchemaError> {
    execute(connection, LOCK).await?;
    let mut done = Vec::new();
    loop {
        let mut transaction = connection.begin().await.map_err(unavailable)?;
        let held = sqlx::query(HOLDS_LOCK).fetch_optional(&mut *transaction).await.map_err(unavailable)?;
        if held.is_none() {
            let why = "migrating needs a direct connection, this one leads through a pooler";
            return Err(SchemaError::Store(StoreError::Unavailable(why.to_owned())));
        }
        let Some(applied) = next(&mut transaction, now).await? else { break };
        transaction.commit().await.map_err(unavailable)?;
        done.push(applied);
    }
    execute(connection, "SELECT pg_advisory_unlock(7233108, 1)").await?;
    Ok(done)
}

pub(super) async fn next(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Option<AppliedMigration>, SchemaError> {
    let Some(&migration) = pending(connection).await?.first() else { return Ok(None) };
    execute(connection, TABLE).await?;
    execute(connection, migration.sql).await?;
    sqlx::query("INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.sha256())
        .bind(now.micros())
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(Some(AppliedMigration { version: migration.version, name: migration.name }))
}

/// Gives a role the rights of the serving broker and takes away every other. The owner itself is left as it is.
async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), SchemaError> {
    let sql = "SELECT grant_application($1) WHERE $1 <> current_user";
    sqlx::query(sql).bind(role).execute(connection).await.map_err(unavailable)?;
    Ok(())
}

/// Migrations that are missing, oldest first.
///
/// # Errors
/// [`SchemaError::Unknown`], [`SchemaError::Changed`], [`SchemaError::Store`].
pub async fn pending(connection: &mut PgConnection) -> Result<Vec<&'static Migration>, SchemaError> {
    missing(MIGRATIONS, &applied(connection).await?)
}

/// Refuses a schema that is not exactly this binary's.
///
/// # Errors
/// [`SchemaError`].
pub async fn check_schema(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let missing = pending(connection).await?;
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(SchemaError::Pending { count: missing.len(), first: first.version }),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<BTreeMap<i64, Vec<u8>>, SchemaError> {
    let known = sqlx::query("SELECT 1 WHERE to_regclass('schema_migrations') IS NOT NULL")
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

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<(), SchemaError> {
    sqlx::raw_sql(sql).execute(connection).await.map_err(unavailable)?;
    Ok(())
}
