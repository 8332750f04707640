//! `redis`: what replicas tell each other through, to be quicker. Nothing depends on it.

use super::check::{Check, is_loopback};
use crate::domain::SecretString;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::path::PathBuf;
use url::{Host, Url};

const PATH: &str = "redis.url";

/// A Redis server, version 6 or later, or Valkey. Optional: replicas are quicker with it, and lose nothing with it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRedis {
    /// Where it is: rediss://redis.example.com:6379/0 as it stands, or, with a user name or password in it, as ${file:/path} or ${env:NAME}.
    /// redis://, without TLS, is accepted for this machine only, unless `encrypted_by_mesh` is true.
    url: String,
    /// Whether a service mesh or sidecar encrypts what goes to a redis:// server on another machine. Default false.
    #[serde(default)]
    encrypted_by_mesh: bool,
    /// PEM file with certificates that may vouch for the server, beside those the system trusts.
    ca_file: Option<String>,
    /// What the names of its keys and channels begin with: brokers of one database have the same. Default broker.
    prefix: Option<String>,
}

/// A Redis server.
#[derive(Clone, Debug)]
pub struct Redis {
    /// A name or an address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken, with the server's name checked.
    pub tls: bool,
    /// Who may vouch for the server, beside whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The number of its database.
    pub database: u16,
    /// As whom (Redis ACL).
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// What the names of keys and channels begin with.
    pub prefix: String,
}

pub(super) fn check(raw: &RawRedis, check: &mut Check<'_>) -> Option<Redis> {
    if !cfg!(feature = "redis") {
        let message = "is given, but this binary was built without Redis (cargo feature `redis`): \
                       take the section out, or run a build that has it";
        check.problem("redis", message);
    }
    let prefix = raw.prefix.clone().unwrap_or_else(|| "broker".to_owned());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(plain) {
        check.problem("redis.prefix", "is not 1 to 64 letters, digits or any of - _ . :");
    }
    let ca_file = raw.ca_file.as_ref().map(|file| check.file("redis.ca_file", file));
    let by_reference = raw.url.starts_with("${");
    let text = if by_reference {
        let secret = check.secret(PATH, &raw.url)?;
        secret.expose_secret().to_owned()
    } else {
        raw.url.clone()
    };
    if text.is_empty() {
        // A command that reads no secrets.
        return None;
    }
    match server(&text, by_reference, raw.encrypted_by_mesh) {
        Ok(redis) => Some(Redis { ca_file, prefix, ..redis }),
        Err(message) => {
            check.problem(PATH, message);
            None
        }
    }
}

/// What a URL names; an error never repeats any of it.
fn server(text: &str, may_hold_secrets: bool, mesh: bool) -> Result<Redis, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let tls = match url.scheme() {
        "rediss" => true,
        "redis" => false,
        _ => return Err("is not a rediss:// or redis:// URL"),
    };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
    if !may_hold_secrets && (!url.username().is_empty() || url.password().is_some()) {
        return Err(
            "has a user name or password in it: put the URL into a file and write ${file:/path/to/it}",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has parameters after `?` or `#`");
    }
    if !tls && !mesh && !is_local(&url) {
        return Err(
            "leads to another machine without TLS: write rediss://, or set encrypted_by_mesh where a mesh encrypts",
        );
    }
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => number.parse().map_err(|_| "has a path that is not the number of a database")?,
    };
    let decoded = |part: &str| {
        let whole = percent_decoded(part).ok_or("has a user name or password that is not UTF-8");
        whole.map(|text| Some(text).filter(|text| !text.is_empty()))
    };
    Ok(Redis {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(6379),
        tls,
        ca_file: None,
        database,
        user: decoded(url.username())?,
        password: decoded(url.password().unwrap_or_default())?.map(SecretString::from),
        prefix: String::new(),
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    // A form without these is one percent-decoded name.
    let form = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let name = url::form_urlencoded::parse(form.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some(name.unwrap_or_default()).filter(|name| !name.contains('\u{fffd}'))
}

fn is_local(url: &Url) -> bool {
    // The host of a URL whose scheme the standard does not know is plain text, an address too.
    let address = url.host_str().and_then(|host| host.parse::<std::net::IpAddr>().ok());
    let bracketed = matches!(url.host(), Some(Host::Ipv6(address)) if address.is_loopback());
    address.is_some_and(|address| address.is_loopback()) || bracketed || is_loopback(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_is_reached_by_tls_and_its_password_by_reference() {
        for (text, secret, mesh) in [
            ("redis://127.0.0.1:6380", false, false),
            ("redis://[::1]:6380/2", false, false),
            ("redis://localhost", false, false),
            ("rediss://redis.example", false, false),
            ("rediss://:pass@redis.example:6380/1", true, false),
            ("redis://app:pass@redis.example", true, true),
        ] {
            assert!(server(text, secret, mesh).is_ok(), "{text}");
        }
        for (text, secret, mesh) in [
            ("redis.example:6379", false, false),
            ("http://redis.example", false, false),
            ("redis://redis.example", false, false),
            ("redis://10.0.0.1", false, false),
            ("redis:///0", false, false),
            ("rediss://:pass@redis.example", false, false),
            ("rediss://redis.example?protocol=resp3", false, false),
            ("rediss://redis.example/one", false, false),
        ] {
            assert!(server(text, secret, mesh).is_err(), "{text}");
        }
    }

    #[test]
    fn user_password_port_and_database_are_read() {
        let redis = server("rediss://app:a%2Fb%2Bc=d@[2001:db8::1]:6390/3", true, false).unwrap();
        let password = redis.password.as_ref().map(|password| password.expose_secret().to_owned());
        assert_eq!((redis.user.as_deref(), password.as_deref()), (Some("app"), Some("a/b+c=d")));
        assert_eq!((redis.host.as_str(), redis.port, redis.database), ("2001:db8::1", 6390, 3));
    }
}
