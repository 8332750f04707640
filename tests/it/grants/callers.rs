//! Whose assertion, through which server: nobody is served with what was made out to somebody else.

use broker_client::proto::ConsentReason::NotApproved;
use broker_client::{GrantRequest, Outcome};
use broker_tests::stage::{READ, Stage, refused};
use demo::world::{ALICE, PROVIDER, Workload::ReportWriter, Workload::TicketHelper};

fn request(assertion: &str) -> GrantRequest {
    GrantRequest::new(assertion, PROVIDER, READ.iter().copied())
}

/// Proves: ID10
#[tokio::test]
async fn an_assertion_for_another_server_is_refused_cached_or_not() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    // Fresh: no server has shown it yet.
    let fresh = stage.world.assertion(&ALICE, TicketHelper);
    assert_eq!(refused(stage.client(ReportWriter).issue_grant(&request(&fresh)).await), "ASSERTION_AUDIENCE");
    // Known: its own server was served with it.
    let known = stage.world.assertion(&ALICE, TicketHelper);
    for _ in 0..2 {
        let own = stage.client(TicketHelper).issue_grant(&request(&known)).await;
        assert!(matches!(own, Ok(Outcome::Grant(_))));
        assert_eq!(
            refused(stage.client(ReportWriter).issue_grant(&request(&known)).await),
            "ASSERTION_AUDIENCE"
        );
    }
    let event = stage.database().await.last_event().await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "ASSERTION_AUDIENCE"));
    assert_eq!(event.text("/workload"), "report-writer");
    // For several at once: nor that.
    let both = [TicketHelper.audience(), ReportWriter.audience()];
    let both =
        stage.world.sso().mint_with("alice", TicketHelper.audience(), serde_json::json!({ "aud": both }));
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request(&both)).await), "ASSERTION_AUDIENCE");
    stage.stop().await;
}

/// A call without a good assertion is never served from anything that is there.
///
/// Proves: ID15, ID1
#[tokio::test]
async fn without_a_good_assertion_nothing_is_served_although_connections_stand() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let good = stage.world.assertion(&ALICE, TicketHelper);
    let huge = format!("{good}{}", "A".repeat(17 * 1024));
    let cut = good[..good.len() - 4].to_owned();
    for (assertion, reason) in [
        (String::new(), "ASSERTION_MISSING"),
        ("nonsense".to_owned(), "ASSERTION_INVALID"),
        (huge, "INVALID_ARGUMENT"),
        (cut, "ASSERTION_INVALID"),
        (stage.world.secret(TicketHelper).to_owned(), "ASSERTION_INVALID"),
    ] {
        let refusal = refused(stage.client(TicketHelper).issue_grant(&request(&assertion)).await);
        assert_eq!(refusal, reason, "{} bytes", assertion.len());
    }
    let allowed = stage.database().await.events().await;
    let allowed = allowed.iter().filter(|event| event.kind == "grant.issue" && event.outcome == "allowed");
    assert_eq!(allowed.count(), 1, "the first one's");
    stage.stop().await;
}

/// Proves: CO8
#[tokio::test]
async fn a_second_server_needs_a_yes_of_its_own() {
    let stage = Stage::start().await;
    let first = stage.connect(&ALICE, TicketHelper, READ).await;
    let waiting = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(waiting.reason, NotApproved);
    stage.grant(&ALICE, TicketHelper, READ).await;
    let families = stage.world.notes().truth().len();
    let page = stage.walk(&ALICE, &waiting).await;
    assert_eq!(page.status, 200);
    assert_eq!(stage.world.notes().truth().len(), families, "the provider is not visited for it");
    let second = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(second.connection_id, first.connection_id);
    let mut database = stage.database().await;
    for workload in ["report-writer", "ticket-helper"] {
        let scopes = format!("SELECT scopes FROM approvals WHERE workload = '{workload}'");
        assert_eq!(database.text(&scopes).await, "notes.read");
    }
    stage.stop().await;
}
