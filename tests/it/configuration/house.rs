use broker::config::{Config, Problems};
use serde_json::{Value, json};

/// Stands in every value: no message may show it.
pub const CANARY: &str = "c4n4ry";

/// A sound configuration with every section.
pub fn full() -> Value {
    json!({
        "listeners": {
            "grpc": {"address": "127.0.0.1:7443"},
            "web": {"address": "0.0.0.0:8443", "tls": {
                "certificate_file": "web.crt", "key_file": "web.key", "client_ca_file": "ca.crt"}},
            "ops": {"address": "10.0.0.1:9090", "terminated_by_mesh": true},
        },
        "public_url": "https://broker.example.com",
        "storage": {"sqlite": {"path": "broker.db"}},
        "keys": {"file": "keys.json"},
        "tenants": [{"id": "acme", "display_name": "Acme"}],
        "issuers": [
            {"name": "sso", "issuer": "https://sso.example.com", "realm": "staff", "tenant": "acme", "algorithms": ["ES256"],
             "login": {"client_id": "broker", "client_secret": "${file:secret}"}},
            {"name": "cluster", "issuer": "https://cluster.example.com", "realm": "cluster", "algorithms": ["RS256"],
             "tenant_claim": {"name": "org", "tenants": {"o1": "acme"}}},
        ],
        "workloads": [{
            "id": "helper", "display_name": "Helper",
            "credentials": [
                {"static_secret_sha256": "1f".repeat(32)},
                {"jwt": {"issuer": "cluster", "audience": "broker", "subject": "system:serviceaccount:a:b"}}],
            "accepts": [{"issuer": "sso", "audiences": ["https://helper.example.com/mcp"]}],
        }],
        "providers": [{
            "id": "notes", "display_name": "Notes",
            "authorize_url": "https://notes.example.com/authorize", "token_url": "https://notes.example.com/token",
            "revocation_url": "https://notes.example.com/revoke",
            "account": {"url": "https://notes.example.com/me", "id_pointer": "/id", "label_pointer": "/name"},
            "client": {"id": "broker", "secret": "${file:secret}"},
            "scopes": [{"scope": "read", "description": "Read", "access": "read"}],
        }],
        "policy": {"files": ["policy.cedar"]},
        "grants": {"default_max_ttl": "30m"},
        "consent": {"lifetime": "5m"},
        "limits": {"request_timeout": "10s"},
        "log": {"level": "warn"},
        "operators": [{"issuer": "sso", "audience": "https://broker.example.com"}],
    })
}

/// Writes `text` and the secret it may name into a directory of its own, and loads the file.
pub fn load(text: &str) -> Result<Config, Problems> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("broker.yaml");
    std::fs::write(directory.path().join("secret"), "from-a-file\n").expect("writes");
    std::fs::write(&path, text).expect("writes");
    Config::load(&path)
}

/// `full()` with the value at `pointer` replaced, added or (by `None`) removed; parents are made where they are missing.
pub fn changed(pointer: &str, value: Option<Value>) -> Value {
    let mut document = full();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let mut place = &mut document;
    for part in parent.split('/').skip(1) {
        place = match place {
            Value::Array(items) => {
                let index = part.parse::<usize>().expect("an index");
                while items.len() <= index {
                    items.push(json!({}));
                }
                &mut items[index]
            }
            Value::Object(fields) => {
                // The next part says what is missing: a list or a mapping.
                fields.entry(part).or_insert_with(|| json!({}))
            }
            other => panic!("{pointer}: {other}"),
        };
    }
    match (place, value) {
        (Value::Object(fields), Some(value)) => drop(fields.insert(key.to_owned(), value)),
        (Value::Object(fields), None) => drop(fields.remove(key).expect("it was there")),
        (Value::Array(items), Some(value)) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => items[index] = value,
            _ => items.push(value),
        },
        (other, _) => panic!("{pointer}: {other}"),
    }
    document
}

/// The problems of a changed `full()`, as `path: message`; none shows the canary.
pub fn problems(pointer: &str, value: Option<Value>) -> Vec<String> {
    let found = load(&changed(pointer, value).to_string()).expect_err(pointer);
    let shown = format!("{found} {found:?}");
    assert!(!shown.contains(CANARY), "{pointer}: {shown}");
    found.problems.iter().map(ToString::to_string).collect()
}

/// Each row: where, what stands there, and how one of the problems begins.
pub fn check(rows: impl IntoIterator<Item = (&'static str, Value, &'static str)>) {
    for (pointer, value, expected) in rows {
        let what = format!("{pointer} = {value:.80}");
        let found = problems(pointer, Some(value));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{what}: {expected}\n{found:#?}");
    }
}

/// Each of these keys is required.
pub fn check_missing(pointers: impl IntoIterator<Item = &'static str>) {
    for pointer in pointers {
        let found = problems(pointer, None);
        let expected = format!("{}: is missing", path_of(pointer));
        assert!(found.contains(&expected), "{expected}\n{found:#?}");
    }
}

/// `/issuers/0/name` as problems write it: `issuers[0].name`.
pub fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => path += &format!("[{index}]"),
            Err(_) if path.is_empty() => path += part,
            Err(_) => path += &format!(".{part}"),
        }
    }
    path
}

/// Texts that are no name, URL, duration or address, each with the canary in it.
pub fn hostile() -> Vec<Value> {
    let long = CANARY.repeat(20_000);
    [
        CANARY.to_owned() + " \u{0}",
        format!("${{env:{CANARY} PATH}}"),
        format!("../../{CANARY}\n"),
        format!("{CANARY}\u{202e} x"),
        format!("<script>{CANARY}</script>"),
        format!("'; DROP TABLE {CANARY}; --"),
        format!("-----BEGIN {CANARY}-----\n"),
        long + " ",
    ]
    .map(Value::String)
    .to_vec()
}
