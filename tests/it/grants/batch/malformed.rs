//! Batches that are refused before anything is looked up.

use broker_proto::v1::{BatchIssueGrantsRequest, GrantItem};
use broker_tests::composite::{Composite, TASKS, both, item, reason};
use broker_tests::stage::READ;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use tonic_types::StatusExt;

/// Proves: GR6
#[tokio::test]
async fn gr6_a_batch_has_one_to_sixteen_different_items() {
    let duo = Composite::start().await;
    let numbered = |n: usize| -> Vec<GrantItem> {
        (0..n)
            .map(|i| GrantItem {
                resource: Some(format!("https://notes.example/{i}")),
                ..item(PROVIDER, READ)
            })
            .collect()
    };
    let mut with_ttl = both();
    with_ttl
        .push(GrantItem { ttl: Some(prost_types::Duration { seconds: 5, nanos: 0 }), ..item(TASKS, READ) });
    let twice = vec![item(PROVIDER, READ), item(PROVIDER, READ)];
    let reordered =
        vec![item(PROVIDER, &["notes.write", "notes.read"]), item(PROVIDER, &["notes.read", "notes.write"])];
    for (items, at) in [
        (vec![], None),
        (numbered(17), None),
        (numbered(100), None),
        (twice, Some("1")),
        (reordered, Some("1")),
        (with_ttl, Some("2")),
    ] {
        let n = items.len();
        let answer = duo.ask(&ALICE, items).await;
        let status = answer.as_ref().expect_err("malformed");
        let details = status.get_error_details();
        let field = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!(field.as_deref(), Some("items"), "{n}: {status:?}");
        let (why, item) = reason(answer);
        assert_eq!((why.as_str(), item.as_deref()), ("INVALID_ARGUMENT", at), "{n}");
    }
    let required = duo.needed(&ALICE, numbered(16)).await;
    assert_eq!(required.items.len(), 16);
    duo.stop().await;
}

/// Proves: GR6, CO7
#[tokio::test]
async fn gr6_every_field_of_every_item_is_read_as_strictly_as_a_single_call() {
    let duo = Composite::start().await;
    let request = || duo.request(&ALICE, TicketHelper, both());
    let second = |change: fn(&mut GrantItem)| {
        let mut request = request();
        change(&mut request.items[1]);
        request
    };
    let cases: [(BatchIssueGrantsRequest, &str, Option<&str>); 9] = [
        (second(|i| i.scopes.clear()), "scopes", Some("1")),
        (second(|i| i.scopes.push("a\"b".to_owned())), "scopes", Some("1")),
        (second(|i| i.provider = "No Such".to_owned()), "provider", Some("1")),
        (second(|i| i.connection = Some("con_1".to_owned())), "connection", Some("1")),
        (second(|i| i.resource = Some("relative".to_owned())), "resource", Some("1")),
        (second(|i| i.ttl = Some(prost_types::Duration { seconds: -1, nanos: 0 })), "ttl", Some("1")),
        (BatchIssueGrantsRequest { tool: "see https://evil.example".to_owned(), ..request() }, "tool", None),
        (BatchIssueGrantsRequest { request_id: Some("a b".to_owned()), ..request() }, "request_id", None),
        (BatchIssueGrantsRequest { assertion: "x".repeat(17 * 1024), ..request() }, "assertion", None),
    ];
    for (message, field, at) in cases {
        let answer = duo.send(TicketHelper, message).await;
        let details = answer.as_ref().expect_err("malformed").get_error_details();
        let found = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!(found.as_deref(), Some(field));
        let (why, item) = reason(answer);
        assert_eq!((why.as_str(), item.as_deref()), ("INVALID_ARGUMENT", at), "{field}");
    }
    duo.stop().await;
}

/// Proves: GR6, ID1, ID15
#[tokio::test]
async fn gr6_a_batch_without_its_person_gives_nothing() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    let bare =
        BatchIssueGrantsRequest { assertion: String::new(), ..duo.request(&ALICE, TicketHelper, both()) };
    assert_eq!(reason(duo.send(TicketHelper, bare).await).0, "ASSERTION_MISSING");
    let others = duo.stage.world.assertion(&ALICE, demo::world::Workload::ReportWriter);
    let others = BatchIssueGrantsRequest { assertion: others, ..duo.request(&ALICE, TicketHelper, both()) };
    assert_eq!(reason(duo.send(TicketHelper, others).await).0, "ASSERTION_AUDIENCE");
    let last = duo.stage.database().await.last_event().await;
    assert_eq!((last.kind.as_str(), last.outcome.as_str()), ("grant.issue", "denied"));
    duo.stop().await;
}
