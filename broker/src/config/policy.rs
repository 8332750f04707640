//! `policy`: the files with the rules.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The rules.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    /// Cedar files. Without any nothing is allowed.
    files: Vec<String>,
}

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    /// Cedar files, in order.
    pub files: Vec<PathBuf>,
}

pub(super) fn check(raw: &RawPolicy, check: &mut Check<'_>) -> PolicyFiles {
    if raw.files.is_empty() {
        check.warning("policy.files", "is empty: nothing is allowed until there is a rule");
    }
    let files = raw.files.iter().enumerate();
    PolicyFiles { files: files.map(|(n, file)| check.file(&format!("policy.files[{n}]"), file)).collect() }
}
