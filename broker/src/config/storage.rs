//! `storage`: where the broker keeps its rows.

use super::{
    check::Check,
    postgres::{self, Postgres, RawPostgres},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the broker keeps its rows: exactly one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    /// One file on this machine; one broker process.
    sqlite: Option<RawSqlite>,
    /// A PostgreSQL server; any number of broker processes.
    postgres: Option<RawPostgres>,
}

/// SQLite.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawSqlite {
    /// The database file. Made when it is not there.
    path: String,
}

/// Where the broker keeps its rows.
#[derive(Clone, Debug)]
pub enum Storage {
    /// SQLite, in this file.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// PostgreSQL.
    Postgres(Postgres),
}

pub(super) fn check(raw: &RawStorage, check: &mut Check<'_>) -> Option<Storage> {
    match (&raw.sqlite, &raw.postgres) {
        (Some(sqlite), None) => {
            Some(Storage::Sqlite { path: check.file("storage.sqlite.path", &sqlite.path) })
        }
        (None, Some(raw)) => postgres::check(raw, check).map(Storage::Postgres),
        _ => {
            check.problem("storage", "needs exactly one of sqlite and postgres");
            None
        }
    }
}
