//! What is served is what the documentation says, and dashboards and alerts rely on.

use super::*;
use crate::domain::{EventId, EventKind, Outcome, SystemRng};
use std::collections::BTreeSet;

const DOCUMENTATION: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../helm/broker/dashboards/token-broker.json");

#[test]
fn the_table_in_the_documentation_is_what_is_served() {
    let metrics = Metrics::default();
    let id = EventId::random(&SystemRng::default());
    metrics.event(&EventDraft::new(id, EventKind::GrantIssue, Outcome::Allowed));
    metrics.refusal("grpc", Reason::RateLimited);
    metrics.call("/a", 0, Duration::ZERO);
    metrics.provider_call("notes", "refresh", true, Duration::ZERO);
    metrics.lookup("policy", true);
    metrics.key_fetch("sso", true);
    metrics.work_failed("purge");
    drop(metrics.connection("grpc"));
    metrics.connection_refused("grpc");
    metrics.audit_commit(1, true, Duration::ZERO);
    metrics.spans("sent", 1);
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    metrics.audit_queue_wait(Duration::ZERO);
    metrics.audit_committed_at(now);
    metrics.page("/consent/{handle}", 200, Duration::ZERO);
    metrics.shed("calls");
    drop(metrics.call_in_progress());
    metrics.pool("main", 1, 2);
    metrics.configured("old", "rules");
    metrics.configured("0f", "rules");
    metrics.keys(1, 1, Some(now));
    metrics.revocation_epoch(7);
    metrics.connections_ending("notes", 2);
    metrics.health("database", true);
    metrics.started(now);
    let text = metrics.render();
    let mut served: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    let table = DOCUMENTATION.lines().filter_map(|line| line.strip_prefix("| `broker_"));
    let mut told: Vec<_> = table
        .filter_map(|row| row.split_once("` | "))
        .map(|(name, rest)| format!("broker_{name} {}", rest.split(' ').next().unwrap_or_default()))
        .collect();
    served.sort();
    told.sort();
    assert_eq!(served, told, "{text}");
    assert!(text.contains("broker_open_connections{listener=\"grpc\"} 0\n"), "{text}");
    assert!(text.contains("broker_audit_batch_entries_count 1\n"), "{text}");
    assert!(text.contains("broker_audit_last_commit_timestamp_seconds 1700000000"), "{text}");
    assert!(text.contains("broker_config_info{config_hash=\"0f\",policy_version=\"rules\"} 1\n"), "{text}");
    assert!(!text.contains("\"old\""), "what is no longer in force is gone: {text}");
    metrics.audit_commit(1, false, Duration::ZERO);
    let text = metrics.render();
    assert!(text.contains("broker_audit_batch_entries_count 1\n"), "a failed commit has no entries: {text}");
}

/// Every name of a metric in `text`.
fn named(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(word).filter_map(|word| word.strip_prefix("broker_"));
    let suffix =
        |name| ["_total", "_bucket", "_count", "_sum"].iter().find_map(|end| str::strip_suffix(name, end));
    names.map(|name| suffix(name).unwrap_or(name)).collect()
}

/// Proves: OP2
#[test]
fn op2_dashboard_and_alerts_speak_of_metrics_that_are_served() {
    let (table, alerts) = DOCUMENTATION.split_once("## What to alert on").expect("the section");
    let (served, alerts, dashboard) = (named(table), named(alerts), named(DASHBOARD));
    assert!(alerts.len() > 10 && dashboard.len() > 20, "{alerts:?} {dashboard:?}");
    assert_eq!(alerts.difference(&served).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(served.symmetric_difference(&dashboard).collect::<Vec<_>>(), Vec::<&&str>::new());
    let panels: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    assert!(panels["panels"].as_array().is_some_and(|panels| panels.len() > 20));
}
