//! What each act leaves behind.

use broker_client::proto::ConsentReason::NotConnected;
use broker_proto::v1::ConnectionState;
use broker_proto::v1::block_target::Target;
use broker_tests::operator::{Operator, person, reason};
use broker_tests::stage::{READ, Stage, refused};
use demo::world::{ALICE, BOB, Workload::ReportWriter, Workload::TicketHelper};
use tonic::Code;

/// Proves: RV2
#[tokio::test]
async fn reconnecting_after_a_revoke_works_and_needs_every_approval_anew() {
    let stage = Stage::start().await;
    let first = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    let operator = Operator::of(&stage.world);
    operator.revoke(&first.connection_id).await.expect("revoked");
    assert_eq!(stage.consent(&ALICE, ReportWriter, READ).await.reason, NotConnected);
    let second = stage.connect(&ALICE, TicketHelper, READ).await;
    assert_ne!(second.connection_id, first.connection_id);
    let waiting = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_ne!(waiting.reason, NotConnected, "there is one, but not for this server");
    let ended = operator.connection(&first.connection_id).await.expect("still to be seen");
    assert_eq!(ended.state(), ConnectionState::Revoked);
    let again = operator.revoke(&first.connection_id).await.expect_err("it has ended already");
    assert_eq!((again.code(), reason(&again).as_str()), (Code::Aborted, "CONFLICT"));
    assert!(stage.facts(&stage.grant(&ALICE, TicketHelper, READ).await).live);
    stage.stop().await;
}

/// Proves: ID11
#[tokio::test]
async fn a_block_says_what_is_blocked_and_holds_over_a_restart() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let operator = Operator::of(&stage.world);
    operator.block(person(&ALICE)).await.expect("blocked");
    operator.block(Target::Provider("notes".to_owned())).await.expect("blocked");
    operator.unblock(Target::Provider("notes".to_owned())).await.expect("lifted");
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "BLOCKED");
    let stage = stage.restart(async |_| {}).await.expect("starts again");
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "BLOCKED");
    let event = stage.database().await.last_event().await;
    assert_eq!(
        (event.kind.as_str(), event.outcome.as_str(), event.reason.as_str()),
        ("grant.issue", "denied", "BLOCKED")
    );
    stage.connect(&BOB, TicketHelper, READ).await;
    Operator::of(&stage.world).unblock(person(&ALICE)).await.expect("lifted");
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// A workload sees and gives back its own approvals; it ends no connection, and blocks nobody.
///
/// Proves: GR12
#[tokio::test]
async fn a_workload_sees_and_withdraws_only_its_own() {
    let stage = Stage::start().await;
    let connection = stage.connect(&ALICE, TicketHelper, READ).await.connection_id;
    let client = stage.client(ReportWriter);
    let assertion = || stage.world.assertion(&ALICE, ReportWriter).into();
    assert!(client.list_connections(&assertion()).await.expect("a list").is_empty());
    let stolen = client.withdraw_approval(&connection, &assertion()).await.expect_err("not its own");
    assert_eq!(stolen.reason(), "NOT_FOUND");
    stage.connect(&ALICE, ReportWriter, READ).await;
    let own = client.list_connections(&assertion()).await.expect("a list");
    assert_eq!((own.len(), own[0].approvals.len()), (1, 1));
    assert_eq!(own[0].approvals[0].workload, "report-writer");
    // bob's are not to be reached with alice's assertion, whatever id is named.
    let bobs = stage.connect(&BOB, ReportWriter, READ).await.connection_id;
    let foreign = client.withdraw_approval(&bobs, &assertion()).await.expect_err("not hers");
    assert_eq!(foreign.reason(), "NOT_FOUND");
    client.withdraw_approval(&connection, &assertion()).await.expect("withdrawn");
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.grant(&BOB, ReportWriter, READ).await;
    stage.stop().await;
}
