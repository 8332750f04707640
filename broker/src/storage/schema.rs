//! Migrations of every dialect: what they are, and why a schema does not fit.

use super::StoreError;
use crate::domain::sha256;
use std::collections::BTreeMap;

/// One numbered change of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// From 1, without a gap.
    pub version: i64,
    /// What it does.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

impl Migration {
    pub(in crate::storage) fn sha256(&self) -> Vec<u8> {
        sha256(self.sql.as_bytes()).to_vec()
    }
}

/// A migration that was applied just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i64,
    /// What it did.
    pub name: &'static str,
}

/// Why the schema does not fit this binary.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Migrations are missing.
    #[error("the database misses {count} migrations, the first is {first:04}: run `broker migrate`")]
    Pending {
        /// How many.
        count: usize,
        /// The first one's number.
        first: i64,
    },
    /// It has a migration this binary does not know.
    #[error("the database has migration {0:04}, which belongs to a newer broker: upgrade this one")]
    Unknown(i64),
    /// A migration was applied with another text than this binary has.
    #[error(
        "migration {0:04} was applied with another text: restore the database or use the binary that made it"
    )]
    Changed(i64),
    /// It did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Those of `known` that are not among the applied ones (number and SHA-256), oldest first.
///
/// # Errors
/// [`SchemaError::Unknown`], [`SchemaError::Changed`].
pub(in crate::storage) fn missing(
    known: &'static [Migration],
    applied: &BTreeMap<i64, Vec<u8>>,
) -> Result<Vec<&'static Migration>, SchemaError> {
    for (version, sha256) in applied {
        let Some(migration) = known.iter().find(|m| m.version == *version) else {
            return Err(SchemaError::Unknown(*version));
        };
        if migration.sha256() != *sha256 {
            return Err(SchemaError::Changed(*version));
        }
    }
    Ok(known.iter().filter(|m| !applied.contains_key(&m.version)).collect())
}
