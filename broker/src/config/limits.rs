//! `limits`: how much the broker takes on at once.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A connection that ends sooner costs more handshakes than it spreads load.
const YOUNGEST: Duration = Duration::from_secs(10);

/// How much the broker takes on at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Longest time for one request. Default 30s.
    request_timeout: Option<String>,
    /// Largest request message, in bytes. Default 131072.
    #[schemars(range(min = 32_768, max = 4_194_304))]
    max_request_bytes: Option<u32>,
    /// Requests served at the same time; more are refused. Where there are several workloads, one alone has at most half, and
    /// fewer where others have many. Default 1024.
    #[schemars(range(min = 1, max = 100_000))]
    max_concurrent_requests: Option<u32>,
    /// Signatures of credentials and assertions verified at the same time; whoever has to fetch an issuer's keys first, and senders
    /// of whom bad ones keep coming, have lines of their own beside it. Default 64.
    #[schemars(range(min = 1, max = 10_000))]
    max_concurrent_verifications: Option<u32>,
    /// Policy decisions remembered. Default 10000.
    #[schemars(range(min = 0, max = 10_000_000))]
    policy_cache_entries: Option<u32>,
    /// Memory for rows of connections in use, in mebibytes; 0 reads them from the database each time. Default 64.
    #[schemars(range(min = 0, max = 65_536))]
    hot_rows_mebibytes: Option<u32>,
    /// Rows in memory are read again after this long. What is revoked or blocked is refused at once whatever is in memory;
    /// other changes made by another replica are seen after at most this long. One of them narrows: a person who connects an
    /// account again may give it fewer scopes, and the wider token is handed out until then. Default 10s, at most 1m.
    hot_rows_max_age: Option<String>,
    /// Connections open at the same time on the gRPC listener, and as many on the pages'; more are closed at once. One
    /// address has at most half. Needs as many file descriptors. Default 4096.
    #[schemars(range(min = 2, max = 1_000_000))]
    max_connections: Option<u32>,
    /// A gRPC connection older than this is asked to end, and its client comes back, perhaps to another replica: how long it takes
    /// until a new replica has its share. Calls under way go on. Default 30m, from 10s to 1d.
    max_connection_age: Option<String>,
    /// Longest that requests under way may take once the process was told to stop (SIGTERM); then they are cut off. Give the process
    /// ten seconds more before it is killed. Default 20s, at most 15m.
    drain_timeout: Option<String>,
}

/// How much the broker takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time for one request.
    pub request_timeout: Duration,
    /// Largest request message, in bytes.
    pub max_request_bytes: u32,
    /// Requests served at the same time.
    pub max_concurrent_requests: u32,
    /// Signatures verified at the same time.
    pub max_concurrent_verifications: u32,
    /// Policy decisions remembered.
    pub policy_cache_entries: u32,
    /// Memory for rows of connections in use, in mebibytes.
    pub hot_rows_mebibytes: u32,
    /// They are read again after this long.
    pub hot_rows_max_age: Duration,
    /// Connections open at the same time on each of the gRPC and pages listeners, half of them from one address.
    pub max_connections: u32,
    /// A gRPC connection older than this is asked to end.
    pub max_connection_age: Duration,
    /// Longest that requests under way may take once the process was told to stop.
    pub drain_timeout: Duration,
}

pub(super) fn check(raw: &RawLimits, check: &mut Check<'_>) -> Limits {
    let path = "limits.request_timeout";
    let timeout = check.duration(path, raw.request_timeout.as_ref(), Duration::from_secs(30));
    let hot = "limits.hot_rows_max_age";
    let max_age = check.duration(hot, raw.hot_rows_max_age.as_ref(), Duration::from_secs(10));
    let age_path = "limits.max_connection_age";
    let age = check.duration(age_path, raw.max_connection_age.as_ref(), Duration::from_secs(30 * 60));
    if age < YOUNGEST {
        check.problem(age_path, format!("is shorter than {} seconds", YOUNGEST.as_secs()));
    }
    let drain = "limits.drain_timeout";
    let drain_timeout = check.duration(drain, raw.drain_timeout.as_ref(), Duration::from_secs(20));
    Limits {
        request_timeout: check.at_most(path, timeout, Duration::from_secs(600)),
        max_request_bytes: raw.max_request_bytes.unwrap_or(131_072),
        max_concurrent_requests: raw.max_concurrent_requests.unwrap_or(1024),
        max_concurrent_verifications: raw.max_concurrent_verifications.unwrap_or(64),
        policy_cache_entries: raw.policy_cache_entries.unwrap_or(10_000),
        hot_rows_mebibytes: raw.hot_rows_mebibytes.unwrap_or(64),
        hot_rows_max_age: check.at_most(hot, max_age, Duration::from_secs(60)),
        max_connections: raw.max_connections.unwrap_or(4096),
        max_connection_age: check.at_most(age_path, age, Duration::from_secs(86_400)),
        drain_timeout: check.at_most(drain, drain_timeout, Duration::from_secs(900)),
    }
}
