//! `spool`: where tokens that cannot be stored are kept until they can.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

const DIRECTORY: &str = "spool.directory";

/// Where tokens that a provider gave are kept while the database cannot take them. A provider that replaces refresh tokens has
/// forgotten the old one by then.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpool {
    /// A directory on a volume that outlives the process and its pod. Made when it is not there. Several brokers may share one.
    directory: String,
    /// Most entries. While so many are there nothing is refreshed that would need another. Default 1024.
    #[schemars(range(min = 1, max = 100_000))]
    max_entries: Option<u32>,
    /// Most space, in mebibytes, counted like the entries. Default 128.
    #[schemars(range(min = 1, max = 65_536))]
    max_mebibytes: Option<u32>,
    /// How long a replica that comes back has to store what it kept, before another one sends a single-use refresh token again whose
    /// fate is unknown; counted while the database is up. Default 1m, at most 1h.
    drain_grace: Option<String>,
}

/// Where tokens are kept while the database cannot take them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The directory; `None` = nothing is kept.
    pub directory: Option<PathBuf>,
    /// Most entries.
    pub max_entries: u32,
    /// Most space, in bytes.
    pub max_bytes: u64,
    /// How long a replica that comes back has to store what it kept.
    pub drain_grace: Duration,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            directory: None,
            max_entries: 1024,
            max_bytes: 128 * 1024 * 1024,
            drain_grace: Duration::from_secs(60),
        }
    }
}

pub(super) fn check(raw: &RawSpool, check: &mut Check<'_>) -> SpoolSettings {
    let default = SpoolSettings::default();
    let path = "spool.drain_grace";
    let drain_grace = check.duration(path, raw.drain_grace.as_ref(), default.drain_grace);
    SpoolSettings {
        directory: Some(check.file(DIRECTORY, &raw.directory)),
        max_entries: raw.max_entries.unwrap_or(default.max_entries),
        max_bytes: raw.max_mebibytes.map_or(default.max_bytes, |most| u64::from(most) * 1024 * 1024),
        drain_grace: check.at_most(path, drain_grace, Duration::from_secs(3600)),
    }
}
