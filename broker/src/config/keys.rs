//! `keys`: the root key that wraps every other.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The root key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeys {
    /// The key file made by `broker init`; readable by the broker's user only. Back it up apart from the database:
    /// without it nothing stored can be opened again.
    file: String,
}

/// The root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The key file.
    pub file: PathBuf,
}

pub(super) fn check(raw: &RawKeys, check: &mut Check<'_>) -> Option<Keys> {
    Some(Keys { file: check.file("keys.file", &raw.file) })
}
