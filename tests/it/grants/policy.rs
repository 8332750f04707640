//! Policy from end to end: what is refused, why, and what the log says of it.

use broker_tests::database::Event;
use broker_tests::stage::{READ, READ_WRITE, Stage, granted, refused};
use demo::sso::User;
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};

async fn with(extra_policy: &str) -> Stage {
    Stage::with(Options { extra_policy: extra_policy.to_owned(), ..Options::default() }).await
}

async fn last(stage: &Stage) -> Event {
    stage.database().await.last_event().await
}

/// Proves: PO1, PO2
#[tokio::test]
async fn who_is_not_named_by_a_rule_is_denied_and_not_unauthenticated() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.world.sso().put_user(User { roles: vec!["engineering".to_owned()], ..User::alice() });
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "POLICY_DENIED");
    let event = last(&stage).await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "POLICY_DENIED"));
    assert_eq!(event.texts("/policy/rules"), ["default-deny"]);
    assert!(!event.text("/policy/version").is_empty());
    assert_eq!(event.texts("/policy/inputs/roles"), ["engineering"]);
    stage.world.sso().put_user(User::alice());
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// Proves: PO1
#[tokio::test]
async fn without_any_rule_nobody_gets_anything() {
    let stage = Stage::with(Options { policy: Some(String::new()), ..Options::default() }).await;
    for person in [&ALICE, &BOB] {
        assert_eq!(refused(stage.ask(person, TicketHelper, READ).await), "POLICY_DENIED");
    }
    assert_eq!(last(&stage).await.texts("/policy/rules"), ["default-deny"]);
    stage.stop().await;
}

const NO_WRITING: &str = r#"
@id("no-writing-for-reports") @reason("Reports only read.")
forbid (principal, action == Broker::Action::"issue", resource is Broker::Scope)
when { resource.access == "write" && context.workload.name == "report-writer" };
"#;

/// Proves: PO4, PO1, GR1
#[tokio::test]
async fn it_is_decided_scope_by_scope_and_a_block_beats_an_allowance() {
    let stage = with(NO_WRITING).await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    // Both asked for, one allowed: the grant says which.
    let grant = stage.connect(&ALICE, ReportWriter, READ_WRITE).await;
    assert_eq!(grant.scopes, READ);
    assert_eq!(stage.facts(&grant).scopes, READ);
    let event = stage.database().await.event(&grant.id).await;
    assert_eq!(
        (event.texts("/scopes_asked"), event.texts("/scopes_granted")),
        (READ_WRITE.to_vec(), READ.to_vec())
    );
    assert_eq!(event.texts("/policy/rules"), ["no-writing-for-reports", "staff-use-notes"]);
    // Nothing left: refused, and the rule is named.
    assert_eq!(refused(stage.ask(&ALICE, ReportWriter, &["notes.write"]).await), "POLICY_DENIED");
    let event = last(&stage).await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "POLICY_DENIED"));
    assert_eq!(event.texts("/policy/rules"), ["no-writing-for-reports"]);
    assert_eq!(stage.grant(&ALICE, TicketHelper, READ_WRITE).await.scopes, READ_WRITE);
    stage.stop().await;
}

const BROKEN: &str = r#"
@id("overflows")
forbid (principal, action == Broker::Action::"issue", resource is Broker::Scope)
when { resource.access == "write" && context has requested_ttl && context.requested_ttl * 9223372036854775807 < 0 };
"#;

/// A forbid that cannot be evaluated might have forbidden.
///
/// Proves: PO1
#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_denies() {
    let stage = with(BROKEN).await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let ttl = std::time::Duration::from_secs(60);
    let request = stage.request(&ALICE, TicketHelper, &["notes.write"]).ttl(ttl);
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), "POLICY_ERROR");
    let event = last(&stage).await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "POLICY_ERROR"));
    assert_eq!(event.texts("/policy/rules"), ["overflows"]);
    granted(
        stage.client(TicketHelper).issue_grant(&stage.request(&ALICE, TicketHelper, READ).ttl(ttl)).await,
    );
    stage.stop().await;
}

const PURPOSE: &str = r#"
@id("say-why") @reason("Say which tool and why.")
forbid (principal, action == Broker::Action::"issue", resource is Broker::Scope)
when { context.purpose == "" || context.tool == "" };
"#;

/// Proves: GR9
#[tokio::test]
async fn a_policy_can_demand_tool_and_purpose_and_both_are_recorded() {
    let stage = with(PURPOSE).await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    let event = stage.database().await.event(&grant.id).await;
    assert_eq!((event.text("/tool"), event.text("/purpose")), ("list_notes", "Show notes"));
    for silent in [
        stage.request(&ALICE, TicketHelper, READ).purpose(""),
        stage.request(&ALICE, TicketHelper, READ).tool(""),
    ] {
        let error = stage.client(TicketHelper).issue_grant(&silent).await.expect_err("refused");
        assert_eq!(error.reason(), "POLICY_DENIED");
        assert!(error.message().contains("Say which tool and why"), "{}", error.message());
        assert_eq!(last(&stage).await.texts("/policy/rules"), ["say-why"]);
    }
    stage.stop().await;
}
