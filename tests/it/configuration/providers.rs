use super::house::{CANARY, check, check_missing, full, hostile, problems};
use serde_json::json;

/// Proves: VA7
#[test]
fn va7_providers_are_refused_at_their_paths() {
    check_missing([
        "/providers/0/id",
        "/providers/0/display_name",
        "/providers/0/authorize_url",
        "/providers/0/token_url",
        "/providers/0/client",
        "/providers/0/client/id",
        "/providers/0/scopes",
        "/providers/0/scopes/0/scope",
        "/providers/0/scopes/0/description",
        "/providers/0/scopes/0/access",
        "/providers/0/account/url",
    ]);
    for value in hostile() {
        for key in [
            "id",
            "authorize_url",
            "token_url",
            "revocation_url",
            "issuer",
            "rotation",
            "narrowing",
            "iss_parameter",
            "environment",
            "pkce",
        ] {
            let found = problems(&format!("/providers/0/{key}"), Some(value.clone()));
            let path = format!("providers[0].{key}: ");
            assert!(found.iter().any(|problem| problem.starts_with(&path)), "{path} {found:?}");
        }
        for (pointer, path) in [
            ("/providers/0/account/url", "providers[0].account.url: "),
            ("/providers/0/account/id_pointer", "providers[0].account.id_pointer: "),
            ("/providers/0/client/secret", "providers[0].client.secret: "),
        ] {
            let found = problems(pointer, Some(value.clone()));
            assert!(found.iter().any(|problem| problem.starts_with(path)), "{pointer}: {found:?}");
        }
    }
    check([
        ("/providers/1", full()["providers"][0].clone(), "providers[1].id: is used twice"),
        (
            "/providers/0/token_url",
            json!("http://notes.example.com/token"),
            "providers[0].token_url: is not https",
        ),
        (
            "/providers/0/token_url",
            json!("http://169.254.169.254/latest"),
            "providers[0].token_url: is not https",
        ),
        ("/providers/0/token_url", json!("gopher://127.0.0.1/"), "providers[0].token_url: is not https"),
        (
            "/providers/0/authorize_url",
            json!(format!("https://u:{CANARY}@notes.example.com")),
            "providers[0].authorize_url: has a user name",
        ),
        ("/providers/0/scopes", json!([]), "providers[0].scopes: is empty"),
        (
            "/providers/0/scopes/0/scope",
            json!(format!("{CANARY} x")),
            "providers[0].scopes[0].scope: a scope is",
        ),
        ("/providers/0/scopes/0/scope", json!(""), "providers[0].scopes[0].scope: a scope is"),
        ("/providers/0/scopes/0/scope", json!("s".repeat(257)), "providers[0].scopes[0].scope: a scope is"),
        ("/providers/0/scopes/0/scope", json!("a\"b"), "providers[0].scopes[0].scope: a scope is"),
        (
            "/providers/0/scopes/1",
            full()["providers"][0]["scopes"][0].clone(),
            "providers[0].scopes[1].scope: is given twice",
        ),
        ("/providers/0/scopes/0/access", json!("admin"), "providers[0].scopes[0].access: is not one of"),
        (
            "/providers/0/scopes/0/description",
            json!("a\nb"),
            "providers[0].scopes[0].description: is not one line",
        ),
        ("/providers/0/client/secret", json!(CANARY), "providers[0].client.secret: is a secret written out"),
        ("/providers/0/client/auth", json!("magic"), "providers[0].client.auth: is not one of"),
        (
            "/providers/0/authorize_params",
            json!({"state": "x"}),
            "providers[0].authorize_params.state: is set by",
        ),
        (
            "/providers/0/authorize_params",
            json!({"redirect_uri": "x"}),
            "providers[0].authorize_params.redirect_uri: is set by",
        ),
        (
            "/providers/0/authorize_params",
            json!({"code_challenge": "x"}),
            "providers[0].authorize_params.code_challenge: is set by",
        ),
        ("/providers/0/header_name", json!("x y"), "providers[0].header_name: is not a header name"),
        ("/providers/0/header_name", json!("a\r\nb"), "providers[0].header_name: is not a header name"),
        ("/providers/0/header_prefix", json!("Bearer\r\n"), "providers[0].header_prefix: cannot stand"),
        ("/providers/0/rotation_grace", json!("30s"), "providers[0].rotation_grace: belongs to"),
        ("/providers/0/technical_scopes", json!(["read"]), "providers[0].technical_scopes: has a scope"),
        ("/providers/0/scope_separator", json!(""), "providers[0].scope_separator: is "),
    ]);
}
