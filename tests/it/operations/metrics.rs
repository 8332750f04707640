//! `/metrics`: real numbers, bounded, on the operations listener alone.

use std::collections::BTreeMap;

use broker_client::GrantRequest;
use broker_tests::{
    http1,
    stage::{READ, Stage, refused},
};
use demo::world::{ALICE, Workload::TicketHelper};

/// Every sample by its name and labels.
async fn samples(stage: &Stage) -> BTreeMap<String, f64> {
    let reply = http1::send(stage.world.addresses().ops, "GET", "/metrics", &[], b"").await;
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
    let mut samples = BTreeMap::new();
    for line in reply.body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            assert!(["HELP ", "TYPE ", "EOF"].iter().any(|word| comment.starts_with(word)), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(series.starts_with("broker_"), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

/// The sum of the samples of `name` that carry all of `labels`.
fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> u64 {
    let series = samples.iter().filter(|(series, _)| {
        series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label))
    });
    series.map(|(_, value)| *value as u64).sum()
}

const EVENTS: &str = "broker_audit_events_total";
const GRANTS: &str = "kind=\"grant.issue\"";

#[tokio::test]
async fn grants_refusals_and_calls_are_counted() {
    let stage = Stage::start().await;
    let before = samples(&stage).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.grant(&ALICE, TicketHelper, READ).await;
    refused(stage.ask(&ALICE, TicketHelper, &["notes.nonsense"]).await);
    let after = samples(&stage).await;
    let grown = |name: &str, labels: &[&str]| sum(&after, name, labels) - sum(&before, name, labels);
    assert_eq!(grown(EVENTS, &[GRANTS, "outcome=\"allowed\"", "provider=\"notes\""]), 2);
    assert_eq!(grown(EVENTS, &[GRANTS, "outcome=\"consent_required\""]), 1);
    assert_eq!(grown(EVENTS, &[GRANTS, "outcome=\"denied\"", "reason=\"SCOPE_UNKNOWN\""]), 1);
    let issue = "method=\"/broker.v1.GrantService/IssueGrant\"";
    assert_eq!(grown("broker_rpc_duration_seconds_count", &[issue, "code=\"0\""]), 3);
    assert_eq!(grown("broker_rpc_duration_seconds_count", &[issue, "code=\"3\""]), 1);
    assert_eq!(grown("broker_provider_call_duration_seconds_count", &["call=\"code\"", "result=\"ok\""]), 1);
    assert!(grown("broker_cache_lookups_total", &["cache=\"policy\"", "result=\"hit\""]) > 0);
    assert!(grown("broker_audit_commit_duration_seconds_count", &["result=\"ok\""]) > 0);
    assert!(sum(&after, "broker_open_connections", &["listener=\"grpc\""]) > 0);
    assert!(sum(&after, "broker_key_fetches_total", &["result=\"ok\""]) > 0);
    stage.stop().await;
}

#[tokio::test]
async fn hostile_values_make_no_new_series() {
    let stage = Stage::start().await;
    let ask = async |number: usize| {
        let assertion = stage.world.assertion(&ALICE, TicketHelper);
        let request = GrantRequest::new(assertion, format!("bogus-{number}"), READ.iter().copied());
        refused(stage.client(TicketHelper).issue_grant(&request.tool(format!("tool-{number}"))).await);
        let path = format!("/bogus.v1.Service/Method{number}");
        http1::send(stage.world.addresses().ops, "GET", &path, &[("user-agent", &path)], b"").await;
    };
    // More than a workload's budget of denials, so that those beyond it are counted as well.
    for number in 0..620 {
        ask(number).await;
    }
    let before = samples(&stage).await;
    for number in 620..1000 {
        ask(number).await;
    }
    let after = samples(&stage).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(after.keys().all(|series| !series.contains("bogus") && !series.contains("tool-")), "{after:?}");
    assert_eq!(sum(&after, EVENTS, &[GRANTS, "reason=\"PROVIDER_UNKNOWN\""]), 600);
    assert_eq!(sum(&after, "broker_refusals_total", &["reason=\"PROVIDER_UNKNOWN\""]), 400);
    stage.stop().await;
}

#[tokio::test]
async fn the_pages_do_not_show_them() {
    let stage = Stage::start().await;
    let reply = http1::send(stage.world.addresses().web, "GET", "/metrics", &[], b"").await;
    reply.check_error("/metrics", 404);
    assert!(!reply.body.contains("broker_"));
    stage.stop().await;
}
