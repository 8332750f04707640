use std::time::Duration;

use broker_proto::v1::{
    AuditEvent, AuditOutcome, AuditSubject, ListAuditEventsRequest, ListAuditEventsResponse,
};
use broker_tests::rpc::{
    ASSERTION_INVALID, ASSERTION_MISSING, NOT_FOUND, ROLE_MISSING, Rpc, WRONG_AUDIENCE, hostile,
    hostile_names, in_time, invalid,
};
use demo::world::{
    ADMIN, ALICE, AUDITOR, BOB, OPERATORS_AUDIENCE,
    Workload::{ReportWriter, TicketHelper},
};
use prost_types::Timestamp;
use tonic::{Response, Status};

async fn list(
    rpc: &Rpc,
    request: ListAuditEventsRequest,
) -> Result<Response<ListAuditEventsResponse>, Status> {
    let assertion = Some(rpc.world.operator_assertion(&AUDITOR));
    rpc.audit().list_audit_events(rpc.bare(ListAuditEventsRequest { assertion, ..request })).await
}

async fn events(rpc: &Rpc, request: ListAuditEventsRequest) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest { page_size: 1000, ..request };
    in_time(list(rpc, request)).await.expect("a page").into_inner().events
}

fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos })
}

fn person(realm: &str, subject: &str) -> Option<AuditSubject> {
    Some(AuditSubject { realm: realm.to_owned(), subject: subject.to_owned() })
}

type Query = ListAuditEventsRequest;

/// Proves: AU2
#[tokio::test]
async fn au2_filters_that_cannot_be_served_are_refused_by_field() {
    let rpc = Rpc::start().await;
    let company = || "company".to_owned();
    let mut cases = vec![
        ("page_size", Query { page_size: -1, ..Query::default() }),
        ("page_size", Query { page_size: i32::MIN, ..Query::default() }),
        ("start_time", Query { start_time: at(i64::MAX, 0), ..Query::default() }),
        ("start_time", Query { start_time: at(i64::MIN, 0), ..Query::default() }),
        ("start_time", Query { start_time: at(0, -1), ..Query::default() }),
        ("end_time", Query { end_time: at(0, 1_000_000_000), ..Query::default() }),
        ("end_time", Query { end_time: at(253_402_300_800, 0), ..Query::default() }),
        ("outcome", Query { outcome: 99, ..Query::default() }),
        ("outcome", Query { outcome: -1, ..Query::default() }),
        ("tenant", Query { subject: person("staff", "u-1"), ..Query::default() }),
        ("subject", Query { subject: person("", "u-1"), tenant: company(), ..Query::default() }),
        ("subject", Query { subject: person("staff", ""), tenant: company(), ..Query::default() }),
        (
            "subject",
            Query { subject: person("staff", &"u".repeat(256)), tenant: company(), ..Query::default() },
        ),
    ];
    for text in hostile() {
        cases.push(("page_token", Query { page_token: text, ..Query::default() }));
    }
    for text in hostile_names() {
        cases.push(("tenant", Query { tenant: text.clone(), ..Query::default() }));
        cases.push(("workload", Query { workload: text.clone(), ..Query::default() }));
        cases.push(("provider", Query { provider: text, ..Query::default() }));
    }
    for (field, request) in cases {
        let what = format!("{field}: {:.80}", format!("{request:?}"));
        rpc.refused(&what, invalid(field), list(&rpc, request)).await;
    }
    let nowhere = Query { tenant: "nowhere".to_owned(), ..Query::default() };
    rpc.refused("a tenant that is none", NOT_FOUND, list(&rpc, nowhere)).await;
    rpc.stop().await;
}

/// Proves: PO7, AU2
#[tokio::test]
async fn po7_auditors_read_the_log_and_nobody_else() {
    let rpc = Rpc::start().await;
    let (world, sso) = (&rpc.world, rpc.world.sso());
    let read = |workload: Option<_>, assertion: Option<String>| {
        let message = Query { assertion, ..Query::default() };
        let call = match workload {
            Some(workload) => rpc.by(workload, message),
            None => rpc.bare(message),
        };
        let mut client = rpc.audit();
        async move { client.list_audit_events(call).await }
    };
    for operator in [AUDITOR, ADMIN] {
        in_time(read(None, Some(world.operator_assertion(&operator)))).await.expect(operator.name);
    }
    let helper = Some(TicketHelper);
    rpc.refused("alice", ROLE_MISSING, read(None, Some(sso.mint_assertion("alice", OPERATORS_AUDIENCE))))
        .await;
    rpc.refused("a server", ROLE_MISSING, read(helper, None)).await;
    rpc.refused(
        "a server with its user",
        WRONG_AUDIENCE,
        read(helper, Some(world.assertion(&ALICE, TicketHelper))),
    )
    .await;
    let auditor = Some(sso.mint_assertion(AUDITOR.name, TicketHelper.audience()));
    rpc.refused("a server with an auditor as user", WRONG_AUDIENCE, read(helper, auditor)).await;
    rpc.turned_away("nobody", ASSERTION_MISSING, read(None, None)).await;
    rpc.turned_away("an empty assertion", ASSERTION_MISSING, read(None, Some(String::new()))).await;
    rpc.turned_away("garbage", ASSERTION_INVALID, read(None, Some("x".repeat(99_999)))).await;
    let stranger = Query {
        subject: person("staff", "u"),
        tenant: "made-up".to_owned(),
        page_size: -1,
        ..Query::default()
    };
    let call = rpc.audit();
    rpc.turned_away("a stranger's filter is not looked at", ASSERTION_MISSING, async {
        call.clone().list_audit_events(rpc.bare(stranger)).await
    })
    .await;
    let keys = world.rooms().store.wrapped_keys.tenant_keys("made-up").await.expect("the store");
    assert!(keys.is_empty(), "no key is made for a tenant that nobody configured");
    rpc.stop().await;
}

/// Proves: AU2, AU5
#[tokio::test]
async fn au5_each_filter_selects_what_it_says() {
    let rpc = Rpc::start().await;
    let begun = broker::domain::Clock::now(&*rpc.clock).unix_seconds();
    rpc.connect(&ALICE, TicketHelper).await;
    rpc.clock.advance(Duration::from_secs(60));
    rpc.ask(&BOB, ReportWriter).await;
    let all = events(&rpc, Query::default()).await;
    let seconds = |event: &AuditEvent| event.time.expect("a time").seconds;

    let late = events(&rpc, Query { start_time: at(begun + 60, 0), ..Query::default() }).await;
    assert!(!late.is_empty() && late.iter().all(|event| seconds(event) >= begun + 60));
    let early = events(&rpc, Query { end_time: at(begun + 60, 0), ..Query::default() }).await;
    assert!(!early.is_empty() && early.iter().all(|event| seconds(event) < begun + 60));
    assert_eq!(early, all.iter().filter(|event| seconds(event) < begun + 60).cloned().collect::<Vec<_>>());
    assert!(
        events(&rpc, Query { start_time: at(begun + 60, 0), end_time: at(begun, 0), ..Query::default() })
            .await
            .is_empty()
    );

    let writers = events(&rpc, Query { workload: "report-writer".to_owned(), ..Query::default() }).await;
    assert!(!writers.is_empty() && writers.iter().all(|event| event.workload == "report-writer"));
    let notes = events(&rpc, Query { provider: "notes".to_owned(), ..Query::default() }).await;
    assert!(!notes.is_empty() && notes.iter().all(|event| event.provider == "notes"));
    assert!(events(&rpc, Query { provider: "note".to_owned(), ..Query::default() }).await.is_empty());
    let tenants = events(&rpc, Query { tenant: "company".to_owned(), ..Query::default() }).await;
    assert!(!tenants.is_empty() && tenants.iter().all(|event| event.tenant == "company"));

    for outcome in
        [AuditOutcome::Allowed, AuditOutcome::Denied, AuditOutcome::ConsentRequired, AuditOutcome::Failed]
    {
        let found = events(&rpc, Query { outcome: outcome.into(), ..Query::default() }).await;
        assert!(found.iter().all(|event| event.outcome() == outcome), "{outcome:?}");
        let expected = all.iter().filter(|event| event.outcome() == outcome).count();
        assert!(found.len() >= expected, "{outcome:?}: {} of {expected}", found.len());
    }

    let about = |subject: &str| Query {
        tenant: "company".to_owned(),
        subject: person("staff", subject),
        ..Query::default()
    };
    let (alices, bobs) =
        (events(&rpc, about("u-7f3a19c2e4")).await, events(&rpc, about("u-c05d88b1a7")).await);
    assert!(!alices.is_empty() && !bobs.is_empty());
    assert_ne!(alices[0].subject_pseudonym, bobs[0].subject_pseudonym);
    assert!(alices.iter().all(|event| event.subject_pseudonym == alices[0].subject_pseudonym));
    assert!(bobs.iter().all(|event| event.subject_pseudonym == bobs[0].subject_pseudonym));
    assert!(events(&rpc, about("u-7F3A19C2E4")).await.is_empty(), "never folded");
    rpc.stop().await;
}

/// Proves: AU2
#[tokio::test]
async fn pages_are_stable_while_events_are_written_and_tokens_are_for_one_reader_and_one_query() {
    let rpc = Rpc::start().await;
    rpc.connect(&ALICE, TicketHelper).await;
    let whole: Vec<String> = events(&rpc, Query::default()).await.into_iter().map(|event| event.id).collect();
    let (mut seen, mut token, mut tokens) = (Vec::new(), String::new(), Vec::new());
    loop {
        let request = Query { page_size: 3, page_token: token, ..Query::default() };
        let page = in_time(list(&rpc, request)).await.expect("a page").into_inner();
        assert!(page.events.len() <= 3);
        seen.extend(page.events.into_iter().map(|event| event.id));
        if seen.len() < whole.len() {
            rpc.ask(&BOB, ReportWriter).await;
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        tokens.push(token.clone());
    }
    assert_eq!(seen[..whole.len()], whole, "nothing twice, nothing left out");

    let bad = invalid("page_token");
    let with = |page_token: &str| Query { page_token: page_token.to_owned(), ..Query::default() };
    rpc.refused(
        "another filter",
        bad,
        list(&rpc, Query { provider: "notes".to_owned(), ..with(&tokens[0]) }),
    )
    .await;
    rpc.refused("cut", bad, list(&rpc, with(&tokens[0][..tokens[0].len() - 1]))).await;
    let mut forged = tokens[0].clone().into_bytes();
    forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
    rpc.refused("changed", bad, list(&rpc, with(std::str::from_utf8(&forged).expect("ASCII")))).await;
    let anothers = Query { assertion: Some(rpc.world.operator_assertion(&ADMIN)), ..with(&tokens[0]) };
    let call = rpc.bare(anothers);
    rpc.refused("another reader's", bad, rpc.audit().list_audit_events(call)).await;
    rpc.stop().await;
}
