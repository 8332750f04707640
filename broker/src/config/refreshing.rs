//! `refresh`: which connections are refreshed before anybody asks.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Which connections are refreshed before anybody asks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRefresh {
    /// Whether connections in use are refreshed before their token ends. Default true.
    ahead: Option<bool>,
    /// Only connections from which a grant was issued in this time. Default 30d.
    used_within: Option<String>,
}

/// Which connections are refreshed before anybody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshAhead {
    /// Whether any is.
    pub on: bool,
    /// Only those used within this time.
    pub used_within: Duration,
}

pub(super) fn check(raw: &RawRefresh, check: &mut Check<'_>) -> RefreshAhead {
    let month = Duration::from_secs(30 * 86_400);
    RefreshAhead {
        on: raw.ahead.unwrap_or(true),
        used_within: check.duration("refresh.used_within", raw.used_within.as_ref(), month),
    }
}
