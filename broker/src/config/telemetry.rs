//! `telemetry`: where traces go, and of which calls.

use super::check::{Check, is_loopback};
use crate::domain::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use url::Url;

/// Where traces go, and of which calls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    /// The collector's OTLP endpoint over gRPC, such as `https://collector.example.com:4317`.
    endpoint: String,
    /// Accepts an http endpoint on another machine: spans hold no secret, but names of workloads and providers. Not together
    /// with `headers`. Default false.
    #[serde(default)]
    plaintext: bool,
    /// PEM file with the certificates that vouch for the collector, instead of those the system trusts.
    ca_file: Option<String>,
    /// Headers for the collector, such as an API key. Values are ${file:/path} or ${env:NAME}.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long sending one batch may take before it is given up. Default 10s, at most 1m.
    timeout: Option<String>,
    /// `service.name`. Default token-broker.
    service_name: Option<String>,
    /// More attributes of the resource, such as `deployment.environment.name`.
    #[serde(default)]
    resource: BTreeMap<String, String>,
    /// Which part of the calls that come without a trace of their own is traced, 0 to 1. Default 0.05.
    #[schemars(range(min = 0.0, max = 1.0))]
    sample_ratio: Option<f64>,
    /// Whether a gRPC caller's own decision holds: a call within a trace that the caller records is recorded here too, one within a
    /// trace that it does not is not. Default true.
    follow_callers: Option<bool>,
    /// Most calls traced in a second, whoever asked for it. Default 100.
    #[schemars(range(min = 1, max = 100_000))]
    max_traces_per_second: Option<u32>,
}

/// Where traces go, and of which calls.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The collector.
    pub endpoint: Url,
    /// Who vouches for it, instead of whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Headers for it.
    pub headers: BTreeMap<String, SecretString>,
    /// Of sending one batch.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// More attributes of the resource.
    pub resource: BTreeMap<String, String>,
    /// Which part of the calls without a trace of their own.
    pub sample_ratio: f64,
    /// Whether a gRPC caller's own decision holds.
    pub follow_callers: bool,
    /// Most calls traced in a second.
    pub max_traces_per_second: u32,
}

pub(super) fn check(raw: &RawTelemetry, check: &mut Check<'_>) -> Option<Telemetry> {
    if !cfg!(feature = "otlp") {
        let message = "is given, but this binary was built without traces (cargo feature `otlp`): \
                       take the section out, or run a build that has it";
        check.problem("telemetry", message);
    }
    let endpoint = endpoint(raw, check);
    let mut headers = BTreeMap::new();
    for (name, value) in &raw.headers {
        let path = format!("telemetry.headers.{name}");
        if !is_header(name) {
            check.problem("telemetry.headers", "has a name that is no lower-case header name of gRPC");
        } else if let Some(value) = check.secret(&path, value) {
            headers.insert(name.clone(), value);
        }
    }
    for (name, value) in &raw.resource {
        check.text("telemetry.resource", name, 100);
        check.text("telemetry.resource", value, 200);
    }
    let timeout = check.duration("telemetry.timeout", raw.timeout.as_ref(), Duration::from_secs(10));
    Some(Telemetry {
        endpoint: endpoint?,
        ca_file: raw.ca_file.as_ref().map(|file| check.file("telemetry.ca_file", file)),
        headers,
        timeout: check.at_most("telemetry.timeout", timeout, Duration::from_secs(60)),
        service_name: raw.service_name.as_ref().map_or_else(
            || "token-broker".to_owned(),
            |name| check.text("telemetry.service_name", name, 100),
        ),
        resource: raw.resource.clone(),
        sample_ratio: raw.sample_ratio.unwrap_or(0.05),
        follow_callers: raw.follow_callers.unwrap_or(true),
        max_traces_per_second: raw.max_traces_per_second.unwrap_or(100),
    })
}

fn endpoint(raw: &RawTelemetry, check: &mut Check<'_>) -> Option<Url> {
    const PATH: &str = "telemetry.endpoint";
    let plain = raw.plaintext && Url::parse(&raw.endpoint).is_ok_and(|url| url.scheme() == "http");
    if plain && !raw.headers.is_empty() {
        check.problem(PATH, "is not https, and `headers` would travel in the clear");
    }
    let url = if plain { Url::parse(&raw.endpoint).ok()? } else { check.url(PATH, &raw.endpoint)? };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.host_str().is_none_or(str::is_empty)
        || !bare
        || !url.username().is_empty()
        || url.password().is_some()
    {
        check.problem(PATH, "is not scheme, host and port alone");
        return None;
    }
    if plain && !is_loopback(&url) {
        check.warning(PATH, "is not https: names of workloads and providers travel in the clear");
    }
    Some(url)
}

fn is_header(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    !name.is_empty() && plain && !name.ends_with("-bin") && !name.starts_with("grpc-")
}
