use broker_proto::v1::{ConnectionState, RevokeConnectionRequest, issue_grant_response::Outcome};
use broker_tests::rpc::{
    ASSERTION_MISSING, Expected, NOT_FOUND, ROLE_MISSING, Rpc, WRONG_AUDIENCE, hostile, in_time, invalid,
};
use demo::world::{ADMIN, ALICE, AUDITOR, OPERATORS_AUDIENCE, Workload::TicketHelper};
use tonic::Code;

fn named(connection_id: &str, assertion: Option<String>, reason: &str) -> RevokeConnectionRequest {
    RevokeConnectionRequest { connection_id: connection_id.to_owned(), assertion, reason: reason.to_owned() }
}

/// Proves: AU2
#[tokio::test]
async fn au2_ids_and_reasons_that_cannot_be_served_are_refused_by_field() {
    let rpc = Rpc::start().await;
    let admin = || Some(rpc.world.operator_assertion(&ADMIN));
    let sound = format!("con_{}", "0".repeat(26));
    for text in hostile().into_iter().chain([String::new()]) {
        let call = rpc.bare(named(&text, admin(), ""));
        let what = format!("{text:.40}");
        rpc.refused(&what, invalid("connection_id"), rpc.connections().revoke_connection(call)).await;
    }
    for reason in [
        "r".repeat(201),
        "r".repeat(100_000),
        "a\r\nb".to_owned(),
        "\u{202e}".to_owned(),
        "www.evil.example".to_owned(),
    ] {
        let call = rpc.bare(named(&sound, admin(), &reason));
        rpc.refused(&format!("{reason:.20}"), invalid("reason"), rpc.connections().revoke_connection(call))
            .await;
    }
    rpc.stop().await;
}

/// Proves: GR12, RV1, PO7
#[tokio::test]
async fn gr12_only_an_administrator_revokes_here_and_only_once() {
    let rpc = Rpc::start().await;
    let id = rpc.connect(&ALICE, TicketHelper).await;
    let (world, sso) = (&rpc.world, rpc.world.sso());
    let revoke = |workload: Option<_>, id: &str, assertion: Option<String>| {
        let message = named(id, assertion, "left the company");
        let call = match workload {
            Some(workload) => rpc.by(workload, message),
            None => rpc.bare(message),
        };
        let mut client = rpc.connections();
        async move { client.revoke_connection(call).await }
    };
    let admin = || Some(world.operator_assertion(&ADMIN));
    let alices = Some(sso.mint_assertion("alice", OPERATORS_AUDIENCE));
    let helper = Some(TicketHelper);
    rpc.refused("the owner, who has pages for it", ROLE_MISSING, revoke(None, &id, alices)).await;
    rpc.refused("an auditor", ROLE_MISSING, revoke(None, &id, Some(world.operator_assertion(&AUDITOR))))
        .await;
    rpc.refused("a server", ROLE_MISSING, revoke(helper, &id, None)).await;
    let users = Some(world.assertion(&ALICE, TicketHelper));
    rpc.refused("a server with its user", WRONG_AUDIENCE, revoke(helper, &id, users)).await;
    rpc.turned_away("nobody", ASSERTION_MISSING, revoke(None, &id, None)).await;
    rpc.refused("nobody's", NOT_FOUND, revoke(None, &format!("con_{}", "0".repeat(26)), admin())).await;
    assert!(matches!(rpc.ask(&ALICE, TicketHelper).await, Outcome::Grant(_)), "it stands");

    let done = in_time(revoke(None, &id, admin())).await.expect("an administrator").into_inner();
    assert_eq!(done.connection.expect("a connection").state(), ConnectionState::Revoked);
    assert!(done.revocation_epoch > 0);
    let again: Expected<'_> = (Code::Aborted, "CONFLICT", None);
    rpc.refused("again", again, revoke(None, &id, admin())).await;
    assert!(matches!(rpc.ask(&ALICE, TicketHelper).await, Outcome::ConsentRequired(_)));
    rpc.stop().await;
}
