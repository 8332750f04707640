use broker_proto::v1::{
    BlockRequest, BlockTarget, Subject, UnblockRequest, block_target::Target, issue_grant_response::Outcome,
};
use broker_tests::rpc::{
    ASSERTION_MISSING, Expected, NOT_FOUND, ROLE_MISSING, Rpc, hostile_names, in_time, invalid,
};
use demo::world::{ADMIN, ALICE, AUDITOR, Workload::TicketHelper};
use tonic::Code;

fn unblock(assertion: Option<String>, target: Target) -> UnblockRequest {
    let target = Some(BlockTarget { target: Some(target) });
    UnblockRequest { assertion, target, reason: "found again".to_owned() }
}

/// Proves: AU2
#[tokio::test]
async fn au2_what_cannot_be_a_target_cannot_be_unblocked() {
    let rpc = Rpc::start().await;
    let admin = || Some(rpc.world.operator_assertion(&ADMIN));
    for text in hostile_names() {
        let call = rpc.bare(unblock(admin(), Target::Workload(text.clone())));
        rpc.refused(&format!("{text:.40}"), invalid("target"), rpc.admin().unblock(call)).await;
    }
    let none = UnblockRequest { target: None, reason: "why".to_owned(), assertion: admin() };
    rpc.refused("no target", invalid("target"), rpc.admin().unblock(rpc.bare(none))).await;
    rpc.stop().await;
}

/// Proves: RV3, ID11
#[tokio::test]
async fn rv3_a_block_holds_until_an_administrator_lifts_it() {
    let rpc = Rpc::start().await;
    rpc.connect(&ALICE, TicketHelper).await;
    let admin = || Some(rpc.world.operator_assertion(&ADMIN));
    let alice = || {
        Target::Subject(Subject {
            tenant: "company".to_owned(),
            realm: "staff".to_owned(),
            subject: "u-7f3a19c2e4".to_owned(),
        })
    };
    let lift = |assertion, target| {
        let call = rpc.bare(unblock(assertion, target));
        let mut client = rpc.admin();
        async move { client.unblock(call).await }
    };
    rpc.refused("never blocked", NOT_FOUND, lift(admin(), alice())).await;
    let target = Some(BlockTarget { target: Some(alice()) });
    let message = BlockRequest { assertion: admin(), target, reason: "lost laptop".to_owned() };
    in_time(rpc.admin().block(rpc.bare(message))).await.expect("blocked");
    let blocked: Expected<'_> = (Code::PermissionDenied, "BLOCKED", None);
    let ask = || rpc.by(TicketHelper, rpc.grant_request(&ALICE, TicketHelper));
    rpc.refused("blocked", blocked, rpc.grants().issue_grant(ask())).await;

    rpc.refused("an auditor", ROLE_MISSING, lift(Some(rpc.world.operator_assertion(&AUDITOR)), alice()))
        .await;
    rpc.turned_away("nobody", ASSERTION_MISSING, lift(None, alice())).await;
    rpc.refused("another target", NOT_FOUND, lift(admin(), Target::Tenant("company".to_owned()))).await;
    rpc.refused("still blocked", blocked, rpc.grants().issue_grant(ask())).await;
    in_time(lift(admin(), alice())).await.expect("lifted");
    assert!(matches!(rpc.ask(&ALICE, TicketHelper).await, Outcome::Grant(_)));
    rpc.refused("lifted already", NOT_FOUND, lift(admin(), alice())).await;
    rpc.stop().await;
}
