//! `storage.postgres`: which server, as whom, and over which connections.

use super::check::{Check, is_loopback};
use crate::domain::SecretString;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

const DEFAULT_CONNECTIONS: u32 = 16;
const MOST_CONNECTIONS: u32 = 1000;

/// A PostgreSQL server, version 14 or later.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPostgres {
    /// The database as the serving broker's role, as ${file:/path} or ${env:NAME}:
    /// postgres://role:password@host:5432/database, or postgres://role@%2Frun%2Fpostgresql/database for a socket. May lead
    /// to a pooler in transaction mode that keeps prepared statements (pgbouncer 1.21 or later).
    url: String,
    /// The same database and role without a pooler in between, as ${file:/path} or ${env:NAME}: wake-ups between replicas
    /// need it. Absent: the one above. Where it leads through a pooler all the same, waiters look again every 5 seconds.
    direct_url: Option<String>,
    /// PEM file with certificates that may vouch for the server, beside those the system trusts.
    ca_file: Option<String>,
    /// Whether the connection is encrypted and the server's name checked. May be switched off only for a server on this
    /// machine. Default true; on a socket there is no TLS.
    tls: Option<bool>,
    /// Most connections of this process, 2 to 1000. Default 16.
    max_connections: Option<u32>,
    /// Accepts a server that may lose acknowledged commits, and a role that could edit the log. Never in production.
    /// Default false.
    #[serde(default)]
    development: bool,
}

/// A PostgreSQL server.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// The database as the serving broker's role.
    pub url: SecretString,
    /// The same without a pooler.
    pub direct_url: SecretString,
    /// Who may vouch for the server, beside whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Whether TLS is required, with the server's name checked.
    pub tls: bool,
    /// Most connections of this process.
    pub max_connections: u32,
    /// Accepts an unsafe server and role.
    pub development: bool,
}

pub(super) fn check(raw: &RawPostgres, check: &mut Check<'_>) -> Option<Postgres> {
    let tls = raw.tls.unwrap_or(true);
    let url = url(check, "storage.postgres.url", &raw.url, tls);
    let direct_url = match &raw.direct_url {
        Some(text) => self::url(check, "storage.postgres.direct_url", text, tls),
        None => url.clone(),
    };
    let max_connections = raw.max_connections.unwrap_or(DEFAULT_CONNECTIONS);
    if !(2..=MOST_CONNECTIONS).contains(&max_connections) {
        check.problem("storage.postgres.max_connections", "is not a number from 2 to 1000");
    }
    if raw.development {
        check.warning(
            "storage.postgres.development",
            "is on: acknowledged commits may be lost and the log edited",
        );
    }
    Some(Postgres {
        url: url?,
        direct_url: direct_url?,
        ca_file: raw.ca_file.as_ref().map(|file| check.file("storage.postgres.ca_file", file)),
        tls,
        max_connections,
        development: raw.development,
    })
}

fn url(check: &mut Check<'_>, path: &str, text: &str, tls: bool) -> Option<SecretString> {
    let secret = check.secret(path, text)?;
    match fault(secret.expose_secret(), tls) {
        None => Some(secret),
        Some(message) => {
            check.problem(path, message);
            None
        }
    }
}

/// What is wrong with a database's URL; never repeats any of it.
fn fault(text: &str, tls: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some("does not hold a URL") };
    let socket = is_socket(&url);
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        Some("does not hold a postgres:// URL")
    } else if url.host_str().is_none_or(str::is_empty) {
        Some("names no host")
    } else if url.username().is_empty() {
        Some("names no role: write postgres://role:password@host/database")
    } else if url.path().trim_start_matches('/').is_empty() {
        Some("names no database")
    } else if url.query().is_some() || url.fragment().is_some() {
        Some("has parameters after `?` or `#`: what may be set has keys of its own beside it")
    } else if !tls && !socket && !is_local(&url) {
        Some("leads to another machine without TLS: leave `tls` on")
    } else {
        None
    }
}

fn is_socket(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.starts_with("%2F") || host.starts_with("%2f"))
}

fn is_local(url: &Url) -> bool {
    // The host of a URL whose scheme the standard does not know is plain text, an address too.
    let address =
        url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback()) || is_loopback(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_whole_and_private() {
        for (text, tls) in [
            ("postgres://app:secret@db.example:5432/broker", true),
            ("postgresql://app@%2Frun%2Fpostgresql/broker", true),
            ("postgres://app@127.0.0.1/broker", false),
            ("postgres://app@[::1]:5433/broker", false),
            ("postgres://app@localhost/broker", false),
        ] {
            assert_eq!(fault(text, tls), None, "{text}");
        }
        for (text, tls) in [
            ("db.example", true),
            ("mysql://app@db.example/broker", true),
            ("postgres:///broker", true),
            ("postgres://db.example/broker", true),
            ("postgres://app@db.example", true),
            ("postgres://app@db.example/broker?sslmode=disable", true),
            ("postgres://app@db.example/broker", false),
            ("postgres://app@10.0.0.1/broker", false),
        ] {
            assert!(fault(text, tls).is_some(), "{text}");
        }
    }
}
