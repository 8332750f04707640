use super::house::{CANARY, check, check_missing, full, hostile, load, problems};
use serde_json::json;

/// Proves: VA7, ID6
#[test]
fn id6_tenants_issuers_and_operators_are_refused_at_their_paths() {
    check_missing([
        "/tenants/0/id",
        "/tenants/0/display_name",
        "/issuers/0/name",
        "/issuers/0/issuer",
        "/issuers/0/realm",
        "/issuers/0/algorithms",
        "/issuers/0/login/client_id",
        "/issuers/1/tenant_claim/name",
        "/issuers/1/tenant_claim/tenants",
        "/operators/0/issuer",
        "/operators/0/audience",
    ]);
    for value in hostile() {
        for (pointer, path) in [
            ("/tenants/0/id", "tenants[0].id: "),
            ("/issuers/0/name", "issuers[0].name: "),
            ("/issuers/0/realm", "issuers[0].realm: "),
            ("/issuers/0/issuer", "issuers[0].issuer: "),
            ("/issuers/0/tenant", "issuers[0].tenant: "),
            ("/issuers/0/jwks_uri", "issuers[0].jwks_uri: "),
            ("/issuers/0/clock_skew", "issuers[0].clock_skew: "),
            ("/issuers/0/max_token_lifetime", "issuers[0].max_token_lifetime: "),
            ("/issuers/0/login/client_secret", "issuers[0].login.client_secret: "),
            ("/operators/0/issuer", "operators[0].issuer: "),
        ] {
            let found = problems(pointer, Some(value.clone()));
            assert!(found.iter().any(|problem| problem.starts_with(path)), "{pointer}: {found:?}");
        }
    }
    check([
        ("/tenants/0/display_name", json!(""), "tenants[0].display_name: is not one line"),
        ("/tenants/0/display_name", json!("x".repeat(101)), "tenants[0].display_name: is not one line"),
        ("/tenants/1", json!({"id": "acme", "display_name": "Again"}), "tenants[1].id: is used twice"),
        ("/issuers/1/name", json!("sso"), "issuers[1].name: is used twice"),
        ("/issuers/1/issuer", json!("https://sso.example.com"), "issuers[1].issuer: is used twice"),
        ("/issuers/0/issuer", json!("http://sso.example.com"), "issuers[0].issuer: is not https"),
        ("/issuers/0/algorithms", json!([]), "issuers[0].algorithms: is empty"),
        ("/issuers/0/algorithms", json!(["none"]), "issuers[0].algorithms[0]: is not one of"),
        ("/issuers/0/algorithms", json!(["HS256"]), "issuers[0].algorithms[0]: is not one of"),
        ("/issuers/0/algorithms", json!(["es256"]), "issuers[0].algorithms[0]: is not one of"),
        ("/issuers/0/subject_claims", json!(["email"]), "issuers[0].subject_claims[0]: can change hands"),
        ("/issuers/0/subject_claims", json!([]), "issuers[0].subject_claims: is empty"),
        ("/issuers/0/clock_skew", json!("61s"), "issuers[0].clock_skew: is longer than 60"),
        ("/issuers/0/clock_skew", json!("-1s"), "issuers[0].clock_skew: is not a duration"),
        (
            "/issuers/0/allowed_networks",
            json!(["0.0.0.0"]),
            "issuers[0].allowed_networks[0]: is not an address range",
        ),
        (
            "/issuers/0/allowed_networks",
            json!(["::/129"]),
            "issuers[0].allowed_networks[0]: is not an address range",
        ),
        (
            "/issuers/0/login/client_secret",
            json!(CANARY),
            "issuers[0].login.client_secret: is a secret written out",
        ),
        (
            "/issuers/0/login/client_secret",
            json!(format!("${{file:{CANARY}}}")),
            "issuers[0].login.client_secret: refers to a file that cannot be read",
        ),
        (
            "/issuers/0/login/client_secret",
            json!("${file:/dev/zero}"),
            "issuers[0].login.client_secret: refers to a file larger",
        ),
        (
            "/issuers/0/login/client_secret",
            json!("${file:.}"),
            "issuers[0].login.client_secret: refers to a file that cannot be read",
        ),
        (
            "/issuers/0/login/client_secret",
            json!("${env:}"),
            "issuers[0].login.client_secret: is a secret written out",
        ),
        (
            "/issuers/0/login/client_secret",
            json!("${env:NO_SUCH_VARIABLE_HERE}"),
            "issuers[0].login.client_secret: refers to an environment variable",
        ),
        (
            "/issuers/0/login/client_secret",
            json!("x${file:secret}"),
            "issuers[0].login.client_secret: is a secret written out",
        ),
        ("/issuers/1/tenant", json!("acme"), "issuers[1]: needs exactly one of tenant and tenant_claim"),
        ("/issuers/1/tenant_claim/tenants", json!({}), "issuers[1].tenant_claim.tenants: is empty"),
        ("/issuers/1/tenant_claim/tenants", json!({CANARY: CANARY}), "issuers[1].tenant_claim.tenants"),
        ("/operators/1", json!({"issuer": "sso", "audience": "x"}), "operators[1].issuer: is used twice"),
        ("/operators/0/audience", json!(""), "operators[0].audience: is not 1 to"),
        ("/operators/0/audience", json!("a".repeat(513)), "operators[0].audience: is not 1 to"),
        ("/operators/0/client_ids", json!(["\n"]), "operators[0].client_ids[0]: is not 1 to"),
    ]);
}

#[test]
fn a_secret_stays_a_secret_when_something_else_is_wrong() {
    let mut document = full();
    document["log"]["level"] = json!("loud");
    let found = load(&document.to_string()).expect_err("loud is no level");
    assert!(!format!("{found:?}").contains("from-a-file"));
    let sound = load(&full().to_string()).expect("sound");
    assert!(!format!("{sound:?}").contains("from-a-file"), "nor in Debug of a sound one");
}
