use std::time::Duration;

use broker_proto::v1::{GetConsentRequest, IssueGrantRequest, UnblockRequest};
use broker_tests::rpc::{Rpc, check, in_time, with};
use demo::world::{ADMIN, ALICE, Workload::TicketHelper};
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;

/// Denials per workload and minute that get rows of their own.
const BUDGET: usize = 600;

async fn summaries(rpc: &Rpc) -> Vec<Value> {
    rpc.events().await.into_iter().filter(|event| event["kind"] == "refusals.summary").collect()
}

/// Proves: AU2
#[tokio::test]
async fn au2_a_flood_of_strangers_becomes_one_row_a_minute_and_reason() {
    let rpc = Rpc::start().await;
    let before = rpc.events().await.len();
    for n in 0..300 {
        let message = IssueGrantRequest::default();
        let (call, reason) = match n % 3 {
            0 => (rpc.bare(message), "WORKLOAD_CREDENTIAL_MISSING"),
            1 => (with(&format!("Bearer wks_{n:064}"), message), "WORKLOAD_CREDENTIAL_INVALID"),
            _ => (with("Basic dXNlcjpwYXNz", message), "WORKLOAD_CREDENTIAL_INVALID"),
        };
        let answer = in_time(rpc.grants().issue_grant(call)).await.map(drop);
        check("a stranger", (Code::Unauthenticated, reason, None), answer);
        // Slowly enough for the limit on bad credentials, all within the minute.
        rpc.clock.advance(Duration::from_millis(100));
    }
    rpc.background().await;
    assert_eq!(rpc.events().await.len(), before, "the minute is not over");
    rpc.clock.advance(Duration::from_secs(61));
    rpc.background().await;
    let rows = summaries(&rpc).await;
    let told: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| {
            (row["reason"].as_str().expect("a reason"), row["detail"]["count"].as_i64().expect("a count"))
        })
        .collect();
    assert_eq!(told, [("WORKLOAD_CREDENTIAL_INVALID", 200), ("WORKLOAD_CREDENTIAL_MISSING", 100)]);
    assert!(rows.iter().all(|row| row["detail"]["source_prefix"] == "127.0.0.0/24"), "{rows:#?}");
    rpc.clock.advance(Duration::from_secs(61));
    rpc.background().await;
    assert_eq!(summaries(&rpc).await.len(), 2, "told once");
    rpc.stop().await;
}

/// Proves: AU2
#[tokio::test]
async fn au2_beyond_its_budget_a_workloads_denials_are_summed_up() {
    let rpc = Rpc::start().await;
    for _ in 0..BUDGET + 5 {
        let request =
            IssueGrantRequest { provider: "other".to_owned(), ..rpc.grant_request(&ALICE, TicketHelper) };
        let answer = in_time(rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await.map(drop);
        check("each is told why", (Code::NotFound, "PROVIDER_UNKNOWN", None), answer);
    }
    let denied = |events: &[Value]| events.iter().filter(|event| event["outcome"] == "denied").count();
    assert_eq!(denied(&rpc.events().await), BUDGET);
    rpc.clock.advance(Duration::from_secs(61));
    rpc.background().await;
    let rows = summaries(&rpc).await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (rows[0]["workload"].as_str(), rows[0]["detail"]["count"].as_i64()),
        (Some("ticket-helper"), Some(5))
    );
    // A new minute, a new budget.
    let request =
        IssueGrantRequest { provider: "other".to_owned(), ..rpc.grant_request(&ALICE, TicketHelper) };
    rpc.refused(
        "again",
        (Code::NotFound, "PROVIDER_UNKNOWN", None),
        rpc.grants().issue_grant(rpc.by(TicketHelper, request)),
    )
    .await;
    rpc.stop().await;
}

/// Proves: AV1
#[tokio::test]
async fn av1_changes_are_limited_per_caller_and_refill_with_time() {
    let rpc = Rpc::start().await;
    let unblock = async || {
        let assertion = Some(rpc.world.operator_assertion(&ADMIN));
        let message = UnblockRequest { assertion, target: None, reason: String::new() };
        in_time(rpc.admin().unblock(rpc.bare(message))).await.expect_err("nothing is named")
    };
    for _ in 0..40 {
        assert_eq!(unblock().await.code(), Code::InvalidArgument);
    }
    let limited = unblock().await;
    check("the burst is over", (Code::ResourceExhausted, "RATE_LIMITED", None), Err(limited.clone()));
    let delay =
        limited.get_error_details().retry_info().and_then(|info| info.retry_delay).expect("RetryInfo");
    assert!(!delay.is_zero() && delay <= Duration::from_millis(50), "{delay:?}");

    let read = GetConsentRequest { consent_id: format!("cns_{}", "0".repeat(26)), assertion: None };
    let other = in_time(rpc.consents().get_consent(rpc.by(TicketHelper, read))).await.expect_err("nobody's");
    assert_eq!(other.code(), Code::NotFound, "another method and caller has its own");
    rpc.clock.advance(delay);
    assert_eq!(unblock().await.code(), Code::InvalidArgument, "one more fits");
    assert_eq!(unblock().await.code(), Code::ResourceExhausted, "and only one");
    rpc.stop().await;
}
