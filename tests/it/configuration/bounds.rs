use super::house::{check, check_missing, hostile, problems};
use serde_json::json;

/// Proves: VA7, AV1
#[test]
fn av1_bounds_of_grants_consents_limits_log_and_policy_are_refused_at_their_paths() {
    check_missing(["/policy/files"]);
    let durations = [
        ("/grants/default_max_ttl", "grants.default_max_ttl: is not a duration"),
        ("/grants/max_token_outlive", "grants.max_token_outlive: is not a duration"),
        ("/consent/lifetime", "consent.lifetime: is not a duration"),
        ("/limits/request_timeout", "limits.request_timeout: is not a duration"),
    ];
    let texts = [
        "",
        "0s",
        "-1s",
        "1",
        "s",
        "01m",
        "1.5h",
        "1h30m",
        " 1m",
        "1M",
        "99999999d",
        "18446744073709551616s",
        "1e9s",
        "٣m",
    ];
    for (pointer, expected) in durations {
        for value in hostile().into_iter().chain(texts.map(|text| json!(text))) {
            let found = problems(pointer, Some(value));
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{pointer}: {found:?}");
        }
    }
    check([
        ("/grants/default_max_ttl", json!("25h"), "grants.default_max_ttl: is longer than 86400"),
        ("/consent/lifetime", json!("2d"), "consent.lifetime: is longer than 86400"),
        ("/limits/request_timeout", json!("11m"), "limits.request_timeout: is longer than 600"),
        ("/consent/max_open_per_subject", json!(0), "consent.max_open_per_subject: is less than 1"),
        ("/consent/max_open_per_subject", json!(1001), "consent.max_open_per_subject: is more than 1000"),
        ("/consent/max_open_per_subject", json!(-1), "consent.max_open_per_subject: is less than"),
        ("/consent/max_open_per_subject", json!(u64::MAX), "consent.max_open_per_subject: is more than"),
        ("/consent/max_open_per_subject", json!(1.5), "consent.max_open_per_subject: is not a whole number"),
        ("/limits/max_request_bytes", json!(0), "limits.max_request_bytes: is less than"),
        ("/limits/max_request_bytes", json!(1_u64 << 40), "limits.max_request_bytes: is more than"),
        ("/limits/max_concurrent_requests", json!(0), "limits.max_concurrent_requests: is less than"),
        (
            "/limits/max_concurrent_verifications",
            json!(0),
            "limits.max_concurrent_verifications: is less than",
        ),
        ("/limits/policy_cache_entries", json!(-5), "limits.policy_cache_entries: is less than"),
        ("/log/level", json!("INFO"), "log.level: is not one of: error, warn, info, debug, trace"),
        ("/log/format", json!("xml"), "log.format: is not one of: text, json"),
        ("/policy/files", json!([""]), "policy.files[0]: is empty"),
        ("/policy/files", json!("policy.cedar"), "policy.files: is not a list"),
    ]);
}
