use broker_proto::v1::GetConnectionRequest;
use broker_tests::rpc::{
    ASSERTION_INVALID, ASSERTION_MISSING, NOT_FOUND, ROLE_MISSING, Rpc, WRONG_AUDIENCE, hostile, in_time,
    invalid,
};
use demo::world::{
    ADMIN, ALICE, AUDITOR, BOB,
    Workload::{ReportWriter, TicketHelper},
};

fn named(connection_id: &str, assertion: Option<String>) -> GetConnectionRequest {
    GetConnectionRequest { connection_id: connection_id.to_owned(), assertion }
}

/// Proves: AU2
#[tokio::test]
async fn au2_what_is_no_connection_id_is_refused_by_name() {
    let rpc = Rpc::start().await;
    for text in hostile().into_iter().chain([String::new(), format!("cns_{}", "0".repeat(26))]) {
        let what = format!("{text:.40}");
        let own = rpc.by(TicketHelper, named(&text, Some(rpc.world.assertion(&ALICE, TicketHelper))));
        rpc.refused(&what, invalid("connection_id"), rpc.connections().get_connection(own)).await;
        let stranger = rpc.bare(named(&text, None));
        rpc.turned_away(&what, ASSERTION_MISSING, rpc.connections().get_connection(stranger)).await;
    }
    rpc.stop().await;
}

/// Proves: GR12, ID10
#[tokio::test]
async fn gr12_a_workload_sees_what_it_was_approved_for_and_administrators_see_all() {
    let rpc = Rpc::start().await;
    let id = rpc.connect(&ALICE, TicketHelper).await;
    let (world, nobodys) = (&rpc.world, format!("con_{}", "0".repeat(26)));
    let get = |workload: Option<_>, id: &str, assertion: Option<String>| {
        let message = named(id, assertion);
        let call = match workload {
            Some(workload) => rpc.by(workload, message),
            None => rpc.bare(message),
        };
        let mut client = rpc.connections();
        async move { client.get_connection(call).await }
    };
    let (helper, writer) = (Some(TicketHelper), Some(ReportWriter));
    let own = in_time(get(helper, &id, Some(world.assertion(&ALICE, TicketHelper)))).await.expect("its own");
    let own = own.into_inner().connection.expect("a connection");
    assert_eq!((own.id.as_str(), own.approvals.len()), (id.as_str(), 1));
    let admins =
        in_time(get(None, &id, Some(world.operator_assertion(&ADMIN)))).await.expect("an administrator");
    assert_eq!(admins.into_inner().connection.expect("a connection").account_label, ALICE.notes.name);

    let alices = || Some(world.assertion(&ALICE, ReportWriter));
    rpc.refused("not approved", NOT_FOUND, get(writer, &id, alices())).await;
    rpc.refused("bob's eyes", NOT_FOUND, get(helper, &id, Some(world.assertion(&BOB, TicketHelper)))).await;
    rpc.refused("nobody's", NOT_FOUND, get(helper, &nobodys, Some(world.assertion(&ALICE, TicketHelper))))
        .await;
    rpc.refused("minted for another", WRONG_AUDIENCE, get(helper, &id, alices())).await;
    rpc.refused("no role", ROLE_MISSING, get(helper, &id, None)).await;
    let admin = || Some(world.operator_assertion(&ADMIN));
    rpc.refused("a server with an administrator's token", WRONG_AUDIENCE, get(helper, &id, admin())).await;
    rpc.refused("nobody's, for an administrator", NOT_FOUND, get(None, &nobodys, admin())).await;
    rpc.refused("an auditor", ROLE_MISSING, get(None, &id, Some(world.operator_assertion(&AUDITOR)))).await;
    rpc.turned_away("nobody", ASSERTION_MISSING, get(None, &id, None)).await;
    rpc.turned_away("garbage", ASSERTION_INVALID, get(None, &id, Some("garbage".to_owned()))).await;
    let helpers = Some(world.assertion(&ALICE, TicketHelper));
    rpc.turned_away("a user's token without its server", WRONG_AUDIENCE, get(None, &id, helpers)).await;
    rpc.stop().await;
}
