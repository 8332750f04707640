use broker_proto::v1::{ListConnectionsRequest, ListConnectionsResponse, Subject};
use broker_tests::rpc::{
    ASSERTION_INVALID, ASSERTION_MISSING, ROLE_MISSING, Rpc, WRONG_AUDIENCE, hostile, hostile_names, in_time,
    invalid,
};
use demo::world::{
    ADMIN, ALICE, AUDITOR, BOB,
    Workload::{ReportWriter, TicketHelper},
};
use demo::{
    sso::User,
    world::{Account, Person},
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tonic::{Response, Status};

fn person(tenant: &str, realm: &str, subject: &str) -> Option<Subject> {
    Some(Subject { tenant: tenant.to_owned(), realm: realm.to_owned(), subject: subject.to_owned() })
}

async fn by_admin(
    rpc: &Rpc,
    request: ListConnectionsRequest,
) -> Result<Response<ListConnectionsResponse>, Status> {
    let assertion = Some(rpc.world.operator_assertion(&ADMIN));
    rpc.connections().list_connections(rpc.bare(ListConnectionsRequest { assertion, ..request })).await
}

fn ids(page: &ListConnectionsResponse) -> Vec<String> {
    page.connections.iter().map(|connection| connection.id.clone()).collect()
}

/// Proves: AU2
#[tokio::test]
async fn au2_filters_that_cannot_be_served_are_refused_by_field() {
    let rpc = Rpc::start().await;
    let own = || Some(rpc.world.assertion(&ALICE, TicketHelper));
    for size in [-1, i32::MIN] {
        let request = ListConnectionsRequest { page_size: size, assertion: own(), ..Default::default() };
        let call = rpc.by(TicketHelper, request);
        rpc.refused("negative size", invalid("page_size"), rpc.connections().list_connections(call)).await;
    }
    for text in hostile() {
        let what = format!("{text:.40}");
        let request = ListConnectionsRequest { page_token: text, assertion: own(), ..Default::default() };
        let call = rpc.by(TicketHelper, request);
        rpc.refused(&what, invalid("page_token"), rpc.connections().list_connections(call)).await;
    }
    for text in hostile_names() {
        let what = format!("{text:.40}");
        let request = ListConnectionsRequest { provider: text, assertion: own(), ..Default::default() };
        let call = rpc.by(TicketHelper, request);
        rpc.refused(&what, invalid("provider"), rpc.connections().list_connections(call)).await;
    }
    rpc.stop().await;
}

#[tokio::test]
async fn an_administrators_subject_filter_is_a_whole_person() {
    let rpc = Rpc::start().await;
    let long = "u".repeat(256);
    for (tenant, realm, subject) in [
        ("", "staff", "u"),
        ("company", "", "u"),
        ("company", "staff", ""),
        ("COMPANY", "staff", "u"),
        ("company", "staff", &long),
    ] {
        let request =
            ListConnectionsRequest { subject: person(tenant, realm, subject), ..Default::default() };
        rpc.refused(&format!("{tenant} {realm}"), invalid("subject"), by_admin(&rpc, request)).await;
    }
    rpc.stop().await;
}

/// Proves: GR12, PO7
#[tokio::test]
async fn gr12_a_workload_lists_its_approvals_and_administrators_list_everybodys() {
    let rpc = Rpc::start().await;
    let (alices, bobs) = (rpc.connect(&ALICE, TicketHelper).await, rpc.connect(&BOB, TicketHelper).await);
    rpc.connect(&ALICE, ReportWriter).await;
    let world = &rpc.world;
    let list = |workload, assertion: Option<String>, subject: Option<Subject>| {
        let call = rpc.by(workload, ListConnectionsRequest { assertion, subject, ..Default::default() });
        let mut client = rpc.connections();
        async move { client.list_connections(call).await }
    };
    let own = in_time(list(TicketHelper, Some(world.assertion(&ALICE, TicketHelper)), None))
        .await
        .expect("its own");
    let own = own.into_inner();
    assert_eq!(ids(&own), std::slice::from_ref(&alices));
    let seen: Vec<&str> =
        own.connections[0].approvals.iter().map(|approval| approval.workload.as_str()).collect();
    assert_eq!(seen, ["ticket-helper"], "not the other server's approval");
    let none = in_time(list(ReportWriter, Some(world.assertion(&BOB, ReportWriter)), None))
        .await
        .expect("an answer");
    assert!(none.into_inner().connections.is_empty());

    rpc.refused("no role", ROLE_MISSING, list(TicketHelper, None, None)).await;
    let users = Some(world.assertion(&ALICE, TicketHelper));
    rpc.refused(
        "a subject, with a user's token",
        WRONG_AUDIENCE,
        list(TicketHelper, users, person("company", "staff", "u-c05d88b1a7")),
    )
    .await;
    let others = Some(world.assertion(&ALICE, ReportWriter));
    rpc.refused("minted for another", WRONG_AUDIENCE, list(TicketHelper, others, None)).await;
    rpc.refused("garbage", ASSERTION_INVALID, list(TicketHelper, Some("x".repeat(99_999)), None)).await;
    let auditor = Some(world.operator_assertion(&AUDITOR));
    let call = rpc.bare(ListConnectionsRequest { assertion: auditor, ..Default::default() });
    rpc.refused("an auditor", ROLE_MISSING, rpc.connections().list_connections(call)).await;
    let call = rpc.bare(ListConnectionsRequest::default());
    rpc.turned_away("nobody", ASSERTION_MISSING, rpc.connections().list_connections(call)).await;

    let mut all = vec![alices, bobs.clone()];
    all.sort();
    let everybodys =
        in_time(by_admin(&rpc, ListConnectionsRequest::default())).await.expect("an administrator");
    assert_eq!(ids(&everybodys.into_inner()), all);
    let request =
        ListConnectionsRequest { subject: person("company", "staff", "u-c05d88b1a7"), ..Default::default() };
    let one = in_time(by_admin(&rpc, request)).await.expect("an administrator").into_inner();
    assert_eq!(ids(&one), [bobs]);
    for subject in ["U-C05D88B1A7", "u-c05d88b1a7 ", "%", "*"] {
        let request =
            ListConnectionsRequest { subject: person("company", "staff", subject), ..Default::default() };
        let none = in_time(by_admin(&rpc, request)).await.expect("an answer").into_inner();
        assert!(none.connections.is_empty(), "{subject}");
    }
    rpc.stop().await;
}

#[tokio::test]
async fn pages_are_stable_and_a_token_continues_its_own_query_alone() {
    let rpc = Rpc::start().await;
    let mut all = vec![rpc.connect(&ALICE, TicketHelper).await, rpc.connect(&BOB, TicketHelper).await];
    all.sort();
    let page = |size, token: &str, provider: &str| {
        let (page_token, provider) = (token.to_owned(), provider.to_owned());
        by_admin(&rpc, ListConnectionsRequest { page_size: size, page_token, provider, ..Default::default() })
    };
    let first = in_time(page(1, "", "")).await.expect("a page").into_inner();
    assert_eq!((ids(&first), first.next_page_token.is_empty()), (vec![all[0].clone()], false));
    let last = in_time(page(i32::MAX, &first.next_page_token, "")).await.expect("a page").into_inner();
    assert_eq!((ids(&last), last.next_page_token.as_str()), (vec![all[1].clone()], ""));
    let bad = invalid("page_token");
    rpc.refused("another filter", bad, page(1, &first.next_page_token, "notes")).await;
    rpc.refused("cut", bad, page(1, &first.next_page_token[1..], "")).await;
    let filtered = in_time(page(5, "", "notes")).await.expect("a page").into_inner();
    assert_eq!(ids(&filtered), all);
    let none = in_time(page(5, "", "other")).await.expect("a page").into_inner();
    assert!(none.connections.is_empty(), "the filter counts for administrators too");
    rpc.stop().await;
}

/// Proves: VA11
#[tokio::test]
async fn va11_a_row_that_is_left_out_does_not_end_the_list_early() {
    let rpc = Rpc::start().await;
    let carol = Account { name: "carol", password: "third" };
    let bob = User::bob();
    let user =
        User { username: carol.name.into(), password: carol.password.into(), sub: "u-3".into(), ..bob };
    rpc.world.sso().put_user(user);
    let mut all = Vec::new();
    for person in [ALICE, BOB, Person { sso: carol, ..BOB }] {
        all.push(rpc.connect(&person, TicketHelper).await);
    }
    all.sort();
    let options = SqliteConnectOptions::new().filename(rpc.world.database_path());
    let mut database = options.connect().await.expect("the database");
    let edit = sqlx::query("UPDATE connections SET account_label = 'eve' WHERE id = ?").bind(&all[0]);
    edit.execute(&mut database).await.expect("edits");
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListConnectionsRequest { page_size: 1, page_token: token, ..Default::default() };
        let page = in_time(by_admin(&rpc, request)).await.expect("a page").into_inner();
        seen.extend(ids(&page));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, all[1..], "the edited row is not shown, the others are");
    rpc.stop().await;
}
