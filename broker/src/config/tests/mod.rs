//! What configurations are accepted, what is refused where, and that no message repeats a value.

mod refused;
mod schema;
mod secrets;
mod sound;
mod telemetry;
mod yaml;

use super::{Config, Problems};
use serde_json::{Value, json};
use std::path::Path;

/// A value that must never appear in a message.
pub(super) const CANARY: &str = "c4n4ry-do-not-print";

/// A configuration that uses every section.
pub(super) fn full() -> Value {
    json!({
        "listeners": {
            "grpc": {"address": "127.0.0.1:7443"},
            "web": {"address": "0.0.0.0:8443", "tls": {"certificate_file": "web.crt", "key_file": "/etc/web.key"}},
            "ops": {"address": "10.0.0.1:9090", "terminated_by_mesh": true},
        },
        "public_url": "https://broker.example.com",
        "storage": {"sqlite": {"path": "broker.db"}},
        "keys": {"file": "broker.keys"},
        "tenants": [{"id": "acme", "display_name": "Acme"}],
        "issuers": [
            {
                "name": "sso", "issuer": "https://sso.example.com", "realm": "staff", "tenant": "acme",
                "algorithms": ["ES256"], "one_time_assertions": true,
                "login": {"client_id": "broker", "client_secret": "${env:LOGIN_SECRET}"},
            },
            {
                "name": "cluster", "issuer": "https://kubernetes.default.svc", "realm": "cluster",
                "tenant_claim": {"name": "org", "tenants": {"o-1": "acme"}},
                "algorithms": ["RS256"], "jwks_uri": "https://10.0.0.2/openid/v1/jwks",
                "allowed_networks": ["10.0.0.0/8", "fd00::/8"], "clock_skew": "5s",
            },
        ],
        "workloads": [{
            "id": "notes-server", "display_name": "Notes tools",
            "credentials": [
                {"static_secret_sha256": "1f".repeat(32), "not_after": "2027-01-31T00:00:00Z"},
                {"jwt": {"issuer": "cluster", "audience": "broker", "subject": "system:serviceaccount:a:b"}},
            ],
            "accepts": [{"issuer": "sso", "audiences": ["https://notes-tools.example.com/mcp"], "agents": ["desktop"]}],
            "roles": ["trusted"], "tenants": ["acme"], "providers": ["notes"],
        }],
        "providers": [{
            "id": "notes", "display_name": "Notes",
            "authorize_url": "https://notes.example.com/authorize",
            "token_url": "https://notes.example.com/token",
            "revocation_url": "https://notes.example.com/revoke",
            "account": {"url": "https://notes.example.com/me", "id_pointer": "/id", "label_pointer": "/name"},
            "issuer": "https://notes.example.com", "iss_parameter": "required",
            "client": {"id": "broker", "secret": "${file:notes.secret}", "auth": "post"},
            "scopes": [{"scope": "notes:read", "description": "Read your notes", "access": "read"}],
            "technical_scopes": ["offline_access"],
            "rotation": "with_grace", "rotation_grace": "30s",
        }],
        "policy": {"files": ["policy.cedar"]},
        "grants": {"default_max_ttl": "30m", "max_token_outlive": "2d"},
        "consent": {"lifetime": "5m", "max_open_per_subject": 3},
        "limits": {"request_timeout": "10s", "max_concurrent_requests": 7},
        "log": {"level": "warn", "format": "json"},
        "operators": [{"issuer": "sso", "audience": "https://broker.example.com", "client_ids": ["cli"]}],
    })
}

/// Loads `document` (JSON is YAML) beside a file `notes.secret` and with one environment variable.
pub(super) fn load(document: &Value) -> Result<Config, Problems> {
    load_text(&document.to_string())
}

pub(super) fn load_text(text: &str) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("notes.secret"), "from-file\n").unwrap();
    parse_in(text, dir.path())
}

pub(super) fn parse_in(text: &str, dir: &Path) -> Result<Config, Problems> {
    Config::parse(text, dir, &|name| (name == "LOGIN_SECRET").then(|| "from-variable".to_owned()))
}

/// The problems of `full()` after the value at `pointer` became `value`; `None` removes it.
pub(super) fn problems(pointer: &str, value: Option<Value>) -> Vec<String> {
    let mut document = full();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent).unwrap(), value) {
        (Value::Object(fields), Some(value)) => {
            fields.insert(key.to_owned(), value);
        }
        (Value::Object(fields), None) => {
            fields.remove(key).unwrap();
        }
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    let found = load(&document).expect_err(pointer);
    assert!(!found.to_string().contains(CANARY), "{pointer}: {found}");
    assert!(!format!("{found:?}").contains(CANARY), "{pointer}: {found:?}");
    found.problems.iter().map(ToString::to_string).collect()
}
