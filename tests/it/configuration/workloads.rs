use super::house::{CANARY, check, check_missing, full, hostile, problems};
use serde_json::json;

/// Proves: VA7, ID16
#[test]
fn id16_workloads_are_refused_at_their_paths() {
    check_missing([
        "/workloads/0/id",
        "/workloads/0/display_name",
        "/workloads/0/credentials",
        "/workloads/0/accepts/0/issuer",
        "/workloads/0/credentials/1/jwt/issuer",
        "/workloads/0/credentials/1/jwt/audience",
        "/workloads/0/credentials/1/jwt/subject",
    ]);
    for value in hostile() {
        for (pointer, path) in [
            ("/workloads/0/id", "workloads[0].id: "),
            (
                "/workloads/0/credentials/0/static_secret_sha256",
                "workloads[0].credentials[0].static_secret_sha256: ",
            ),
            ("/workloads/0/credentials/0/not_after", "workloads[0].credentials[0].not_after: "),
            ("/workloads/0/credentials/1/jwt/issuer", "workloads[0].credentials[1].jwt.issuer: "),
            ("/workloads/0/accepts/0/issuer", "workloads[0].accepts[0].issuer: "),
        ] {
            let found = problems(pointer, Some(value.clone()));
            assert!(found.iter().any(|problem| problem.starts_with(path)), "{pointer}: {found:?}");
        }
        for list in ["tenants", "providers"] {
            let found = problems(&format!("/workloads/0/{list}"), Some(json!([value])));
            assert!(
                found.iter().any(|problem| problem.starts_with(&format!("workloads[0].{list}[0]: "))),
                "{found:?}"
            );
        }
    }
    let hash = "workloads[0].credentials[0].static_secret_sha256: is not a SHA-256";
    check([
        ("/workloads/0/display_name", json!(" "), "workloads[0].display_name: is not one line"),
        (
            "/workloads/0/display_name",
            json!(format!("{CANARY}\u{2067}")),
            "workloads[0].display_name: is not one line",
        ),
        ("/workloads/1", full()["workloads"][0].clone(), "workloads[1].id: is used twice"),
        ("/workloads/0/credentials", json!([]), "workloads[0].credentials: is empty"),
        ("/workloads/0/credentials/0", json!({}), "workloads[0].credentials[0]: needs exactly one"),
        ("/workloads/0/credentials/0/static_secret_sha256", json!("1f".repeat(31)), hash),
        ("/workloads/0/credentials/0/static_secret_sha256", json!("1F".repeat(32)), hash),
        ("/workloads/0/credentials/0/static_secret_sha256", json!("1f".repeat(33)), hash),
        (
            "/workloads/0/credentials/0/static_secret_sha256",
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            "workloads[0].credentials[0].static_secret_sha256: is the hash of an empty",
        ),
        (
            "/workloads/0/credentials/0/not_after",
            json!("2027-13-01T00:00:00Z"),
            "workloads[0].credentials[0].not_after: is not a time",
        ),
        (
            "/workloads/0/credentials/0/not_after",
            json!("tomorrow"),
            "workloads[0].credentials[0].not_after: is not a time",
        ),
        (
            "/workloads/0/credentials/1/not_after",
            json!("2027-01-01T00:00:00Z"),
            "workloads[0].credentials[1].not_after: belongs to",
        ),
        (
            "/workloads/0/accepts/0/audiences",
            json!([]),
            "workloads[0].accepts[0]: needs audiences or client_ids",
        ),
        ("/workloads/0/tenants", json!(["nowhere"]), "workloads[0].tenants[0]: names no entry"),
        ("/workloads/0/providers", json!(["nothing"]), "workloads[0].providers[0]: names no entry"),
    ]);
}
