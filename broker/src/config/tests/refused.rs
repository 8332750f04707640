use super::{CANARY, full, load, problems};
use serde_json::{Value, json};

/// Every rule: what becomes of `full()` at a pointer, and the problem it must give.
fn rules() -> Vec<(&'static str, Value, &'static str)> {
    let url = format!("http://{CANARY}.example.com/");
    let user = format!("https://u:{CANARY}@example.com/");
    vec![
        ("/listeners/grpc/address", json!(CANARY), "listeners.grpc.address: is not an IP address and port"),
        (
            "/listeners/grpc/address",
            json!("0.0.0.0:7443"),
            "listeners.grpc.address: is not loopback and has no TLS",
        ),
        ("/listeners/grpc/address", json!("10.0.0.1:9090"), "listeners.grpc.address: is not loopback"),
        (
            "/listeners/web/terminated_by_mesh",
            json!(true),
            "listeners.web.terminated_by_mesh: contradicts tls",
        ),
        ("/listeners/web/tls/key_file", json!(""), "listeners.web.tls.key_file: is empty"),
        ("/listeners/ops/address", json!("127.0.0.1:7443"), "listeners.ops.address: is the same"),
        ("/public_url", json!(url), "public_url: is not https"),
        ("/public_url", json!(format!("https://b.example.com/{CANARY}")), "public_url: has a path"),
        ("/storage/sqlite/path", json!(""), "storage.sqlite.path: is empty"),
        ("/keys/file", json!(""), "keys.file: is empty"),
        ("/tenants/0/id", json!(format!("A {CANARY}")), "tenants[0].id: not a valid"),
        (
            "/tenants/0/display_name",
            json!(format!("{CANARY}\u{202e}")),
            "tenants[0].display_name: is not one line",
        ),
        ("/issuers/0/issuer", json!(url), "issuers[0].issuer: is not https"),
        ("/issuers/0/issuer", json!(CANARY), "issuers[0].issuer: is not a URL"),
        (
            "/issuers/0/issuer",
            json!(format!("https://a.example/?{CANARY}")),
            "issuers[0].issuer: has a query",
        ),
        ("/issuers/0/issuer", json!("https://kubernetes.default.svc"), "issuers[1].issuer: is used twice"),
        ("/issuers/0/name", json!("cluster"), "issuers[1].name: is used twice"),
        ("/issuers/0/name", json!(format!("{CANARY} !")), "issuers[0].name: is not a name"),
        ("/issuers/0/realm", json!(format!("{CANARY} !")), "issuers[0].realm: not a valid"),
        ("/issuers/0/tenant", json!(CANARY), "issuers[0].tenant: names no entry of tenants"),
        ("/issuers/1/tenant", json!("acme"), "issuers[1]: needs exactly one of tenant and tenant_claim"),
        (
            "/issuers/1/tenant_claim/tenants",
            json!({CANARY: CANARY}),
            "issuers[1].tenant_claim.tenants (entry 1): names no",
        ),
        ("/issuers/1/tenant_claim/tenants", json!({}), "issuers[1].tenant_claim.tenants: is empty"),
        ("/issuers/0/algorithms", json!([]), "issuers[0].algorithms: is empty"),
        ("/issuers/0/algorithms", json!(["ES256", "HS256"]), "issuers[0].algorithms[1]: is not one of"),
        ("/issuers/0/algorithms", json!(["none"]), "issuers[0].algorithms[0]: is not one of"),
        ("/issuers/0/subject_claims", json!(["email"]), "issuers[0].subject_claims[0]: can change hands"),
        ("/issuers/0/subject_claims", json!([]), "issuers[0].subject_claims: is empty"),
        ("/issuers/1/jwks_uri", json!(url), "issuers[1].jwks_uri: is not https"),
        ("/issuers/0/keys_token_file", json!("token"), "issuers[0].keys_token_file: needs jwks_uri"),
        ("/issuers/1/keys_token_file", json!(""), "issuers[1].keys_token_file: is empty"),
        ("/limits/max_connection_age", json!("9s"), "limits.max_connection_age: is shorter than 10 seconds"),
        (
            "/limits/max_connection_age",
            json!("2d"),
            "limits.max_connection_age: is longer than 86400 seconds",
        ),
        ("/limits/drain_timeout", json!("16m"), "limits.drain_timeout: is longer than 900 seconds"),
        (
            "/issuers/1/allowed_networks",
            json!(["10.0.0.0/33"]),
            "issuers[1].allowed_networks[0]: is not an address range",
        ),
        ("/issuers/1/clock_skew", json!("61s"), "issuers[1].clock_skew: is longer than 60 seconds"),
        ("/issuers/1/max_token_lifetime", json!(CANARY), "issuers[1].max_token_lifetime: is not a duration"),
        ("/workloads/0/id", json!(format!("{CANARY} !")), "workloads[0].id: not a valid"),
        ("/workloads/0/credentials", json!([]), "workloads[0].credentials: is empty"),
        ("/workloads/0/credentials/0", json!({}), "workloads[0].credentials[0]: needs exactly one"),
        (
            "/workloads/0/credentials/0/static_secret_sha256",
            json!(CANARY),
            "workloads[0].credentials[0].static_secret_sha256: is not a SHA-256",
        ),
        (
            "/workloads/0/credentials/0/static_secret_sha256",
            json!("00".repeat(32)),
            "workloads[0].credentials[0].static_secret_sha256: is the hash of an empty",
        ),
        (
            "/workloads/0/credentials/0/static_secret_sha256",
            json!("057ba03d6c44104863dc7361fe4578965d1887360f90a0895882e58a6248fc86"),
            "workloads[0].credentials[0].static_secret_sha256: is the hash of an empty, default",
        ),
        (
            "/workloads/0/credentials/0/not_after",
            json!(CANARY),
            "workloads[0].credentials[0].not_after: is not a time",
        ),
        (
            "/workloads/0/credentials/1/not_after",
            json!(CANARY),
            "workloads[0].credentials[1].not_after: belongs to",
        ),
        (
            "/workloads/0/credentials/1/jwt/issuer",
            json!(CANARY),
            "workloads[0].credentials[1].jwt.issuer: names no entry",
        ),
        (
            "/workloads/0/accepts/0/issuer",
            json!(CANARY),
            "workloads[0].accepts[0].issuer: names no entry of issuers",
        ),
        (
            "/workloads/0/accepts/0/audiences",
            json!([]),
            "workloads[0].accepts[0]: needs audiences or client_ids",
        ),
        ("/workloads/0/tenants", json!([CANARY]), "workloads[0].tenants[0]: names no entry of tenants"),
        ("/workloads/0/providers", json!([CANARY]), "workloads[0].providers[0]: names no entry of providers"),
        ("/providers/0/id", json!(format!("{CANARY} !")), "providers[0].id: not a valid"),
        ("/providers/0/authorize_url", json!(url), "providers[0].authorize_url: is not https"),
        ("/providers/0/token_url", json!(user), "providers[0].token_url: has a user name or password"),
        (
            "/providers/0/revocation_url",
            json!(format!("https://a.example/#{CANARY}")),
            "providers[0].revocation_url: has a fragment",
        ),
        ("/providers/0/account/url", json!(CANARY), "providers[0].account.url: is not a URL"),
        (
            "/providers/0/account/id_pointer",
            json!(CANARY),
            "providers[0].account.id_pointer: is not a JSON pointer",
        ),
        (
            "/providers/0/authorize_params",
            json!({"state": CANARY}),
            "providers[0].authorize_params.state: is set by",
        ),
        ("/providers/0/issuer", json!(url), "providers[0].issuer: is not https"),
        ("/providers/0/scopes", json!([]), "providers[0].scopes: is empty"),
        (
            "/providers/0/scopes/0/scope",
            json!(format!("{CANARY} x")),
            "providers[0].scopes[0].scope: a scope is",
        ),
        (
            "/providers/0/technical_scopes",
            json!(["notes:read"]),
            "providers[0].technical_scopes: has a scope",
        ),
        ("/providers/0/scope_separator", json!("x"), "providers[0].scope_separator: is not"),
        ("/providers/0/rotation", json!("none"), "providers[0].rotation_grace: belongs to"),
        (
            "/providers/0/header_name",
            json!(format!("{CANARY}\n")),
            "providers[0].header_name: is not a header name",
        ),
        (
            "/providers/0/header_prefix",
            json!(format!("{CANARY}\n")),
            "providers[0].header_prefix: cannot stand",
        ),
        ("/grants/default_max_ttl", json!("2d"), "grants.default_max_ttl: is longer than 86400 seconds"),
        ("/consent/lifetime", json!(CANARY), "consent.lifetime: is not a duration"),
        ("/limits/request_timeout", json!("1h"), "limits.request_timeout: is longer than 600 seconds"),
        ("/operators/0/issuer", json!(CANARY), "operators[0].issuer: names no entry of issuers"),
        ("/operators/0/audience", json!(""), "operators[0].audience: is not 1 to"),
    ]
}

/// Proves: VA7, NE4
#[test]
fn va7_every_rule_names_its_path_and_no_value() {
    for (pointer, value, expected) in rules() {
        let found = problems(pointer, Some(value));
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{pointer}: {expected}\n{found:#?}"
        );
    }
}

#[test]
fn a_wrong_type_is_named_with_its_path_and_the_type_it_should_have() {
    let deep = json!({"x": [CANARY]});
    let cases = [
        ("/log/level", json!(CANARY), "log.level: is not one of: error, warn, info, debug, trace"),
        (
            "/providers/0/rotation",
            json!(CANARY),
            "providers[0].rotation: is not one of: none, with_grace, single_use",
        ),
        (
            "/providers/0/scopes/0/access",
            json!(CANARY),
            "providers[0].scopes[0].access: is not one of: read, write",
        ),
        ("/consent/max_open_per_subject", json!(0), "consent.max_open_per_subject: is less than 1"),
        (
            "/limits/max_request_bytes",
            json!(999_999_999_u32),
            "limits.max_request_bytes: is more than 4194304",
        ),
        ("/limits/max_request_bytes", json!(CANARY), "limits.max_request_bytes: is not a whole number"),
        ("/providers/0/scope_separator", json!("abc"), "providers[0].scope_separator: is longer than 1"),
        ("/issuers/0/login", json!(CANARY), "issuers[0].login: is not a mapping"),
        ("/workloads/0/roles", json!(CANARY), "workloads[0].roles: is not a list"),
        ("/issuers/0/issuer", json!(42), "issuers[0].issuer: is not text (quote a number"),
        ("/issuers/0/tenant", json!(null), "issuers[0].tenant: is not text"),
        ("/issuers/0", deep, "issuers[0].x: is not a known key"),
    ];
    for (pointer, value, expected) in cases {
        let found = problems(pointer, Some(value));
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{pointer}: {expected}\n{found:#?}"
        );
    }
    for (pointer, expected) in [
        ("/listeners/ops", "listeners.ops: is missing"),
        ("/public_url", "public_url: is missing"),
        ("/issuers/0/realm", "issuers[0].realm: is missing"),
        ("/providers/0/client", "providers[0].client: is missing"),
        ("/providers/0/rotation_grace", "providers[0].rotation_grace: is missing"),
        ("/providers/0/issuer", "providers[0].issuer: is missing"),
    ] {
        let found = problems(pointer, None);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{pointer}\n{found:#?}");
    }
}

#[test]
fn all_problems_come_at_once_and_a_bad_section_hides_no_other() {
    let mut document = full();
    document["log"]["level"] = json!(CANARY);
    document["issuers"][0]["typo"] = json!(CANARY);
    document["issuers"][1]["realm"] = json!(7);
    document["listeners"]["grpc"]["address"] = json!("0.0.0.0:1");
    document["providers"][0]["token_url"] = json!("http://example.com");
    document["consent"]["lifetime"] = json!("soon");
    let found = load(&document).unwrap_err();
    let mut paths: Vec<_> = found.problems.iter().map(|problem| problem.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "consent.lifetime",
        "issuers[0].typo",
        "issuers[1].realm",
        "listeners.grpc.address",
        "log.level",
        "providers[0].token_url",
    ];
    assert_eq!(paths, expected, "nothing about references into the section that could not be read");
}

/// Proves: ID10
#[test]
fn id10_two_workloads_never_share_an_audience_or_client() {
    let mut document = full();
    let mut second = document["workloads"][0].clone();
    second["id"] = json!("other-server");
    document["workloads"].as_array_mut().unwrap().push(second);
    let found = load(&document).unwrap_err();
    assert_eq!(found.problems[0].path, "workloads[1].accepts[0].audiences[0]");
    document["workloads"][1]["accepts"][0]["audiences"] = json!(["https://other.example.com"]);
    assert!(load(&document).is_ok());
    document["workloads"][1]["id"] = json!("notes-server");
    assert_eq!(load(&document).unwrap_err().problems[0].path, "workloads[1].id");
}

/// Puts `value` in the place of everything below `document`, one at a time.
fn replaced(document: &Value, value: &Value) -> Vec<Value> {
    let put = |edit: &dyn Fn(&mut Value, Value), inner: &Value| {
        let each = std::iter::once(value.clone()).chain(replaced(inner, value));
        each.map(|new| {
            let mut copy = document.clone();
            edit(&mut copy, new);
            copy
        })
        .collect::<Vec<_>>()
    };
    match document {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, inner)| put(&|copy, new| copy[key] = new, inner)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(n, inner)| put(&|copy, new| copy[n] = new, inner)).collect()
        }
        _ => Vec::new(),
    }
}

/// Proves: VA10
#[test]
fn va10_whatever_stands_wherever_no_message_repeats_it() {
    let values = [json!(CANARY), json!([CANARY]), json!({"k": CANARY}), json!(null), json!(-1), json!(1e300)];
    let mut refused = 0;
    for value in &values {
        for document in replaced(&full(), value) {
            if let Err(problems) = load(&document) {
                refused += 1;
                let said = format!("{problems} {problems:?}");
                assert!(!said.contains(CANARY), "{said}");
                assert!(!problems.problems.is_empty());
            }
        }
    }
    assert!(refused > 500, "only {refused} of the documents were refused");
}
