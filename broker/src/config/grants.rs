//! `grants`: bounds on what is issued.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Bounds on what is issued.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGrants {
    /// How long a grant may last when the rule that allows it has no @max_ttl. Default 1h.
    default_max_ttl: Option<String>,
    /// How long a provider's token may outlive its grant unless a rule says @long_lived("allow"). Default 24h.
    max_token_outlive: Option<String>,
}

/// Bounds on what is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantSettings {
    /// How long a grant may last by a rule without `@max_ttl`.
    pub default_max_ttl: Duration,
    /// How long a token may outlive its grant (GR10).
    pub max_token_outlive: Duration,
}

pub(super) fn check(raw: &RawGrants, check: &mut Check<'_>) -> GrantSettings {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    let path = "grants.default_max_ttl";
    let default_max_ttl = check.duration(path, raw.default_max_ttl.as_ref(), hour);
    let default_max_ttl = check.at_most(path, default_max_ttl, day);
    let max_token_outlive = check.duration("grants.max_token_outlive", raw.max_token_outlive.as_ref(), day);
    GrantSettings { default_max_ttl, max_token_outlive }
}
