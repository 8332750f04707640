//! `consent`: the links people are sent.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// The links people are sent.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConsent {
    /// How long a link works. Default 10m, at most 1d.
    lifetime: Option<String>,
    /// How many links one person may have open. Default 32, enough for every item of one batch. At most half of them, but one at least, for one workload.
    #[schemars(range(min = 1, max = 1000))]
    max_open_per_subject: Option<u32>,
}

/// The links people are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentSettings {
    /// How long a link works.
    pub lifetime: Duration,
    /// How many one person may have open, half of them (one at least) for one workload.
    pub max_open_per_subject: u32,
}

pub(super) fn check(raw: &RawConsent, check: &mut Check<'_>) -> ConsentSettings {
    let lifetime = check.duration("consent.lifetime", raw.lifetime.as_ref(), Duration::from_secs(600));
    let lifetime = check.at_most("consent.lifetime", lifetime, Duration::from_secs(86_400));
    ConsentSettings { lifetime, max_open_per_subject: raw.max_open_per_subject.unwrap_or(32) }
}
