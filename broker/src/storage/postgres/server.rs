//! What the server must be before anything is trusted to it: recent, durable, and a master of roles.

use super::{OpenError, error::unavailable};
use crate::storage::StoreError;
use sqlx::{PgPool, Row, postgres::PgRow};

const FACTS: &str = "\
SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    pg_is_in_recovery()::TEXT AS standby, gen_random_uuid()::TEXT AS name";

const RIGHTS: &str = "\
SELECT (
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR has_table_privilege('audit_events', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    OR has_table_privilege('revocations', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    OR has_table_privilege('audit_streams', 'DELETE, TRUNCATE, TRIGGER')
    OR has_schema_privilege('public', 'CREATE')
)::TEXT AS too_many";

/// The lowest version served, as `server_version_num` counts.
const OLDEST: u32 = 140_000;

/// Refuses a server that is too old, not UTF-8, or a standby; and, unless this is for development, one that may lose what it
/// acknowledged. Answers a name for this process.
pub(super) async fn check(pool: &PgPool, development: bool) -> Result<String, OpenError> {
    let row = sqlx::query(FACTS).fetch_one(pool).await.map_err(unavailable)?;
    if text(&row, "version")?.parse::<u32>().unwrap_or(0) < OLDEST {
        return Err(OpenError::Server("is older than PostgreSQL 14"));
    }
    if text(&row, "encoding")? != "UTF8" {
        return Err(OpenError::Server("holds a database whose encoding is not UTF8"));
    }
    if text(&row, "standby")? == "true" {
        return Err(OpenError::Server("is a standby: it cannot be written"));
    }
    for (setting, fault) in [
        ("fsync", "runs with fsync = off: a crash loses what it acknowledged"),
        ("full_page_writes", "runs with full_page_writes = off: a crash may damage it"),
        ("synchronous_commit", "runs with synchronous_commit = off: a crash loses what it acknowledged"),
    ] {
        if text(&row, setting)? == "off" && !development {
            return Err(OpenError::Server(fault));
        }
    }
    text(&row, "name")
}

/// Refuses a role that could edit the log, unless this is for development. Asked once the tables are there.
pub(super) async fn check_rights(pool: &PgPool, development: bool) -> Result<(), OpenError> {
    let row = sqlx::query(RIGHTS).fetch_one(pool).await.map_err(unavailable)?;
    if text(&row, "too_many")? == "true" && !development {
        return Err(OpenError::TooManyRights);
    }
    Ok(())
}

fn text(row: &PgRow, column: &'static str) -> Result<String, OpenError> {
    row.try_get(column)
        .map_err(|_| OpenError::Store(StoreError::Malformed { table: "server settings", column }))
}
