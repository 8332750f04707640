use broker_proto::v1::{
    BlockRequest, BlockTarget, Subject, block_target::Target, issue_grant_response::Outcome,
};
use broker_tests::rpc::{
    ASSERTION_MISSING, Expected, ROLE_MISSING, Rpc, WRONG_AUDIENCE, hostile_names, in_time, invalid,
};
use demo::world::{
    ADMIN, ALICE, AUDITOR, OPERATORS_AUDIENCE,
    Workload::{ReportWriter, TicketHelper},
};
use tonic::Code;

const BLOCKED: Expected<'static> = (Code::PermissionDenied, "BLOCKED", None);

fn subject(tenant: &str, realm: &str, subject: &str) -> Target {
    Target::Subject(Subject {
        tenant: tenant.to_owned(),
        realm: realm.to_owned(),
        subject: subject.to_owned(),
    })
}

fn block(assertion: Option<String>, target: Option<Target>, reason: &str) -> BlockRequest {
    BlockRequest {
        assertion,
        target: target.map(|target| BlockTarget { target: Some(target) }),
        reason: reason.to_owned(),
    }
}

/// Proves: AU2
#[tokio::test]
async fn au2_targets_and_reasons_that_cannot_be_served_are_refused_by_field() {
    let rpc = Rpc::start().await;
    let admin = || Some(rpc.world.operator_assertion(&ADMIN));
    let mut targets = vec![
        subject("", "staff", "u-1"),
        subject("company", "", "u-1"),
        subject("company", "staff", ""),
        subject("company", "staff", &"u".repeat(256)),
        subject("nowhere", "staff", "u-1"),
        Target::Issuer(String::new()),
        Target::Issuer("i".repeat(2049)),
        Target::Issuer("a\nb".to_owned()),
    ];
    for text in hostile_names() {
        let named: [fn(String) -> Target; 3] = [Target::Workload, Target::Provider, Target::Tenant];
        targets.extend(named.map(|name| name(text.clone())));
        targets.push(subject(&format!("{text} "), "staff", "u-1"));
    }
    for target in targets {
        let what = format!("{target:.80?}");
        let call = rpc.bare(block(admin(), Some(target), "why"));
        rpc.refused(&what, invalid("target"), rpc.admin().block(call)).await;
    }
    for nothing in [None, Some(BlockTarget { target: None })] {
        let call = rpc.bare(BlockRequest { assertion: admin(), target: nothing, reason: "why".to_owned() });
        rpc.refused("no target", invalid("target"), rpc.admin().block(call)).await;
    }
    for reason in
        [String::new(), " ".to_owned(), "r".repeat(201), "a\nb".to_owned(), "https://evil.example".to_owned()]
    {
        let call = rpc.bare(block(admin(), Some(Target::Provider("notes".to_owned())), &reason));
        rpc.refused(&format!("{reason:.20}"), invalid("reason"), rpc.admin().block(call)).await;
    }
    rpc.stop().await;
}

/// Proves: PO7, ID11, RV3
#[tokio::test]
async fn po7_administrators_block_and_nobody_else() {
    let rpc = Rpc::start().await;
    rpc.connect(&ALICE, TicketHelper).await;
    let world = &rpc.world;
    let try_block = |workload: Option<_>, assertion: Option<String>, target: Target| {
        let message = block(assertion, Some(target), "lost laptop");
        let call = match workload {
            Some(workload) => rpc.by(workload, message),
            None => rpc.bare(message),
        };
        let mut client = rpc.admin();
        async move { client.block(call).await }
    };
    let notes = || Target::Provider("notes".to_owned());
    let helper = Some(TicketHelper);
    let alice = Some(world.sso().mint_assertion("alice", OPERATORS_AUDIENCE));
    rpc.refused("alice", ROLE_MISSING, try_block(None, alice, notes())).await;
    rpc.refused(
        "an auditor",
        ROLE_MISSING,
        try_block(None, Some(world.operator_assertion(&AUDITOR)), notes()),
    )
    .await;
    rpc.refused("a server", ROLE_MISSING, try_block(helper, None, notes())).await;
    let users = Some(world.assertion(&ALICE, TicketHelper));
    rpc.refused("a server with its user", WRONG_AUDIENCE, try_block(helper, users, notes())).await;
    let admins_for_server = Some(world.sso().mint_assertion(ADMIN.name, TicketHelper.audience()));
    rpc.refused(
        "a server with an administrator as user",
        WRONG_AUDIENCE,
        try_block(helper, admins_for_server, notes()),
    )
    .await;
    rpc.turned_away("nobody", ASSERTION_MISSING, try_block(None, None, notes())).await;
    assert!(matches!(rpc.ask(&ALICE, TicketHelper).await, Outcome::Grant(_)), "nothing is blocked");

    let admin = || Some(world.operator_assertion(&ADMIN));
    let target = || Target::Workload("ticket-helper".to_owned());
    let first = in_time(try_block(None, admin(), target())).await.expect("an administrator").into_inner();
    in_time(try_block(None, admin(), target())).await.expect("blocking what is blocked is no error");
    assert!(first.revocation_epoch > 0);
    let request = rpc.grant_request(&ALICE, TicketHelper);
    rpc.refused("blocked", BLOCKED, rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await;
    assert!(
        matches!(rpc.ask(&ALICE, ReportWriter).await, Outcome::ConsentRequired(_)),
        "the other server is not"
    );
    rpc.stop().await;
}
