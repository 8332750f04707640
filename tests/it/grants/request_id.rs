//! A request id makes a retry safe: one issue, one grant, however often it is asked for.

use std::time::Duration;

use broker_client::{GrantRequest, Outcome};
use broker_proto::v1::block_target::Target;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::{READ, READ_WRITE, Stage, granted, refused};
use demo::world::{ALICE, BOB, Workload::ReportWriter, Workload::TicketHelper};

const ID: &str = "4f8c1f2e";

fn with_id(stage: &Stage) -> GrantRequest {
    stage.request(&ALICE, TicketHelper, READ).request_id(ID)
}

/// Proves: GR5
#[tokio::test]
async fn a_repeat_is_answered_with_the_same_grant_and_recorded_as_one() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let client = stage.client(TicketHelper);
    let first = granted(client.issue_grant(&with_id(&stage)).await);
    stage.clock.advance(Duration::from_secs(60));
    // Another assertion of the same person: the fingerprint knows the subject, not the token.
    let second = granted(client.issue_grant(&with_id(&stage)).await);
    assert_eq!((&first.id, first.access_token.expose()), (&second.id, second.access_token.expose()));
    assert_eq!(first.expire_time, second.expire_time, "never longer than the first answer said");
    let mut database = stage.database().await;
    let event = database.last_event().await;
    assert_eq!((event.kind.as_str(), event.outcome.as_str()), ("grant.redelivered", "allowed"));
    assert_eq!(event.text("/grant"), first.id);
    assert_eq!(database.event(&first.id).await.kind, "grant.issue");
    assert_eq!(second.audit_position, (event.stream.clone(), u64::try_from(event.seq).unwrap()));

    // Ids belong to one person and one server.
    stage.connect(&BOB, TicketHelper, READ).await;
    let bobs = stage.request(&BOB, TicketHelper, READ).request_id(ID);
    assert_ne!(granted(client.issue_grant(&bobs).await).id, first.id);
    stage.connect(&ALICE, ReportWriter, READ).await;
    let other = stage.request(&ALICE, ReportWriter, READ).request_id(ID);
    assert_ne!(granted(stage.client(ReportWriter).issue_grant(&other).await).id, first.id);
    stage.stop().await;
}

/// Proves: GR5
#[tokio::test]
async fn another_request_under_the_same_id_is_refused() {
    let stage = Stage::start().await;
    let connection = stage.connect(&ALICE, TicketHelper, READ_WRITE).await.connection_id;
    let client = stage.client(TicketHelper);
    granted(client.issue_grant(&with_id(&stage)).await);
    let wider = stage.request(&ALICE, TicketHelper, READ_WRITE).request_id(ID);
    for other in [
        wider,
        with_id(&stage).ttl(Duration::from_secs(10)),
        with_id(&stage).tool("another_tool"),
        with_id(&stage).purpose("Another purpose"),
        with_id(&stage).connection(connection),
        with_id(&stage).resource("https://notes.example/other"),
    ] {
        assert_eq!(refused(client.issue_grant(&other).await), "REQUEST_ID_REUSED");
    }
    granted(client.issue_grant(&with_id(&stage)).await);
    // Forgotten after ten minutes.
    stage.clock.advance(Duration::from_secs(601));
    granted(client.issue_grant(&with_id(&stage).tool("another_tool")).await);
    stage.stop().await;
}

/// Proves: GR5
#[tokio::test]
async fn a_repeat_whose_token_is_gone_is_stale() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let client = stage.client(TicketHelper);
    stage.clock.advance(Duration::from_secs(250));
    granted(client.issue_grant(&with_id(&stage)).await);
    // The token is refreshed in between: its generation is gone.
    stage.clock.advance(Duration::from_secs(340));
    stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(refused(client.issue_grant(&with_id(&stage)).await), "REQUEST_ID_STALE");
    let event = stage.database().await.last_event().await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "REQUEST_ID_STALE"));
    stage.stop().await;
}

/// Proves: GR5, AU17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_sent_many_times_at_once_is_issued_once() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, request) = (stage.client(TicketHelper).clone(), with_id(&stage));
        calls.spawn(async move { client.issue_grant(&request).await });
    }
    let mut grants = Vec::new();
    while let Some(call) = calls.join_next().await {
        match call.expect("no panic") {
            Ok(Outcome::Grant(grant)) => {
                grants.push((grant.id.clone(), grant.access_token.expose().to_owned()))
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert_eq!(error.reason(), "CONFLICT"),
        }
    }
    assert!(!grants.is_empty());
    grants.dedup();
    assert_eq!(grants.len(), 1, "one grant for all");
    let events = stage.database().await.events().await;
    let issued = events
        .iter()
        .filter(|e| e.kind == "grant.issue" && e.outcome == "allowed" && e.text("/id") == grants[0].0);
    assert_eq!(issued.count(), 1);
    let again = granted(stage.client(TicketHelper).issue_grant(&with_id(&stage)).await);
    assert_eq!(again.id, grants[0].0);
    stage.stop().await;
}

/// A repeat passes authentication, policy and the revocation check again.
///
/// Proves: GR5, RV2, ID11
#[tokio::test]
async fn a_repeat_after_a_revoke_or_a_block_is_refused() {
    let stage = Stage::start().await;
    let connection = stage.connect(&ALICE, TicketHelper, READ).await.connection_id;
    let client = stage.client(TicketHelper);
    granted(client.issue_grant(&with_id(&stage)).await);
    let operator = Operator::of(&stage.world);
    for target in
        [person(&ALICE), Target::Workload("ticket-helper".to_owned()), Target::Provider("notes".to_owned())]
    {
        operator.block(target.clone()).await.expect("blocked");
        assert_eq!(refused(client.issue_grant(&with_id(&stage)).await), "BLOCKED");
        operator.unblock(target).await.expect("lifted");
    }
    granted(client.issue_grant(&with_id(&stage)).await);
    let assertion = stage.world.assertion(&ALICE, TicketHelper).into();
    client.withdraw_approval(&connection, &assertion).await.expect("withdrawn");
    assert_eq!(refused(client.issue_grant(&with_id(&stage)).await), "REQUEST_ID_STALE");
    operator.revoke(&connection).await.expect("revoked");
    assert_eq!(refused(client.issue_grant(&with_id(&stage)).await), "REQUEST_ID_STALE");
    stage.stop().await;
}
