use broker_proto::v1::{WithdrawApprovalRequest, issue_grant_response::Outcome};
use broker_tests::rpc::{
    ASSERTION_INVALID, ASSERTION_MISSING, NOT_FOUND, Rpc, WRONG_AUDIENCE, hostile, in_time, invalid,
};
use demo::world::{
    ADMIN, ALICE, BOB,
    Workload::{ReportWriter, TicketHelper},
};
use tonic::Code;

fn named(connection_id: &str, assertion: Option<String>) -> WithdrawApprovalRequest {
    WithdrawApprovalRequest { connection_id: connection_id.to_owned(), assertion }
}

/// Proves: AU2
#[tokio::test]
async fn au2_what_is_no_connection_id_cannot_be_withdrawn_from() {
    let rpc = Rpc::start().await;
    for text in hostile().into_iter().chain([String::new()]) {
        let call = rpc.by(TicketHelper, named(&text, Some(rpc.world.assertion(&ALICE, TicketHelper))));
        let what = format!("{text:.40}");
        rpc.refused(&what, invalid("connection_id"), rpc.connections().withdraw_approval(call)).await;
    }
    rpc.stop().await;
}

/// Proves: GR12, CO8
#[tokio::test]
async fn gr12_a_workload_withdraws_its_own_approval_and_no_other() {
    let rpc = Rpc::start().await;
    let id = rpc.connect(&ALICE, TicketHelper).await;
    assert_eq!(rpc.connect(&ALICE, ReportWriter).await, id, "one connection, two approvals");
    let world = &rpc.world;
    let withdraw = |workload, assertion: Option<String>| {
        let call = rpc.by(workload, named(&id, assertion));
        let mut client = rpc.connections();
        async move { client.withdraw_approval(call).await }
    };
    rpc.refused("for nobody", ASSERTION_MISSING, withdraw(TicketHelper, None)).await;
    rpc.refused("for nobody", ASSERTION_MISSING, withdraw(TicketHelper, Some(String::new()))).await;
    rpc.refused("garbage", ASSERTION_INVALID, withdraw(TicketHelper, Some("a.b.c".to_owned()))).await;
    rpc.refused("bob's", NOT_FOUND, withdraw(TicketHelper, Some(world.assertion(&BOB, TicketHelper)))).await;
    let anothers = Some(world.assertion(&ALICE, ReportWriter));
    rpc.refused("minted for another", WRONG_AUDIENCE, withdraw(TicketHelper, anothers)).await;
    let admins = Some(world.operator_assertion(&ADMIN));
    rpc.refused("an administrator's", WRONG_AUDIENCE, withdraw(TicketHelper, admins)).await;
    let missing = (Code::Unauthenticated, "WORKLOAD_CREDENTIAL_MISSING", None);
    let bare = rpc.bare(named(&id, Some(world.operator_assertion(&ADMIN))));
    rpc.turned_away("a person", missing, rpc.connections().withdraw_approval(bare)).await;

    let own = || Some(world.assertion(&ALICE, TicketHelper));
    let done = in_time(withdraw(TicketHelper, own())).await.expect("its own").into_inner();
    assert!(done.revocation_epoch > 0);
    rpc.refused("again", NOT_FOUND, withdraw(TicketHelper, own())).await;
    assert!(matches!(rpc.ask(&ALICE, TicketHelper).await, Outcome::ConsentRequired(_)));
    assert!(matches!(rpc.ask(&ALICE, ReportWriter).await, Outcome::Grant(_)), "the other server's stands");
    rpc.stop().await;
}
