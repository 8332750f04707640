//! `telemetry`: where spans may go, and that a binary that cannot send them says so.

use super::{CANARY, full, load};
use serde_json::{Value, json};

fn with(section: Value) -> Value {
    let mut document = full();
    document["telemetry"] = section;
    document
}

fn faults(section: Value) -> Vec<String> {
    let found = load(&with(section)).expect_err("a problem");
    assert!(!found.to_string().contains(CANARY) && !format!("{found:?}").contains(CANARY), "{found}");
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn without_the_section_nothing_is_traced() {
    assert!(load(&full()).unwrap().telemetry.is_none());
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_binary_without_traces_refuses_the_section_and_says_what_to_do() {
    let found = faults(json!({"endpoint": "https://collector.example.com:4317"}));
    assert!(
        matches!(&found[..], [one] if one.contains("telemetry") && one.contains("feature `otlp`")),
        "{found:?}"
    );
}

#[cfg(feature = "otlp")]
#[test]
fn the_section_arrives_as_it_was_meant() {
    use crate::domain::ExposeSecret;
    use std::time::Duration;

    let section = json!({
        "endpoint": "https://collector.example.com:4317", "ca_file": "collector.pem", "timeout": "3s",
        "headers": {"x-api-key": "${env:LOGIN_SECRET}"}, "service_name": "broker-eu",
        "resource": {"deployment.environment.name": "production"},
        "sample_ratio": 0.5, "follow_callers": false, "max_traces_per_second": 7,
    });
    let config = load(&with(section)).unwrap();
    assert_eq!(config.warnings, []);
    let telemetry = config.telemetry.unwrap();
    assert_eq!(telemetry.endpoint.as_str(), "https://collector.example.com:4317/");
    assert_eq!(telemetry.headers["x-api-key"].expose_secret(), "from-variable");
    assert!(telemetry.ca_file.unwrap().is_absolute());
    assert_eq!((telemetry.timeout, telemetry.max_traces_per_second), (Duration::from_secs(3), 7));
    assert!((telemetry.sample_ratio - 0.5).abs() < f64::EPSILON && !telemetry.follow_callers);
    assert_eq!(telemetry.service_name, "broker-eu");

    let least = load(&with(json!({"endpoint": "http://127.0.0.1:4317"}))).unwrap();
    assert_eq!(least.warnings, [], "an agent on this machine");
    let telemetry = least.telemetry.unwrap();
    assert!((telemetry.sample_ratio - 0.05).abs() < f64::EPSILON && telemetry.follow_callers);
    let plain =
        load(&with(json!({"endpoint": "http://collector.example.com:4317", "plaintext": true}))).unwrap();
    assert!(
        plain.warnings[0].to_string().starts_with("telemetry.endpoint: is not https"),
        "{:?}",
        plain.warnings
    );
}

#[cfg(feature = "otlp")]
#[test]
fn what_cannot_be_sent_safely_is_refused_by_its_key() {
    let https = "https://collector.example.com";
    for (section, problem) in [
        (json!({}), "telemetry.endpoint: is missing"),
        (json!({"endpoint": format!("http://{CANARY}.example.com")}), "telemetry.endpoint: is not https"),
        (json!({"endpoint": CANARY}), "telemetry.endpoint: is not a URL"),
        (
            json!({"endpoint": format!("{https}/{CANARY}")}),
            "telemetry.endpoint: is not scheme, host and port alone",
        ),
        (json!({"endpoint": format!("https://u:{CANARY}@c.example")}), "telemetry.endpoint: has a user name"),
        (json!({"endpoint": "mailto:a@b", "plaintext": true}), "telemetry.endpoint: is not https"),
        (
            json!({"endpoint": "http://c.example", "plaintext": true, "headers": {"a": "${env:LOGIN_SECRET}"}}),
            "telemetry.endpoint: is not https, and `headers` would travel in the clear",
        ),
        (
            json!({"endpoint": https, "headers": {"a": CANARY}}),
            "telemetry.headers.a: is a secret written out",
        ),
        (
            json!({"endpoint": https, "headers": {"A": "${env:LOGIN_SECRET}"}}),
            "telemetry.headers: has a name",
        ),
        (json!({"endpoint": https, "sample_ratio": 1.5}), "telemetry.sample_ratio: is more than 1"),
        (json!({"endpoint": https, "timeout": "2m"}), "telemetry.timeout: is longer than 60 seconds"),
        (json!({"endpoint": https, "timeout": "0s"}), "telemetry.timeout: is not a duration"),
        (json!({"endpoint": https, "resource": {"a": ""}}), "telemetry.resource: is not 1 to 200"),
    ] {
        let found = faults(section);
        assert!(found.iter().any(|one| one.starts_with(problem)), "{problem}: {found:?}");
    }
}
