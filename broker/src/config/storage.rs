//! `storage`: where the broker keeps its rows.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the broker keeps its rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    /// One file on this machine; one broker process.
    sqlite: RawSqlite,
}

/// SQLite.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawSqlite {
    /// The database file. Made when it is not there.
    path: String,
}

/// Where the broker keeps its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// SQLite, in this file.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
}

pub(super) fn check(raw: &RawStorage, check: &mut Check<'_>) -> Option<Storage> {
    Some(Storage::Sqlite { path: check.file("storage.sqlite.path", &raw.sqlite.path) })
}
