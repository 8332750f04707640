//! The same by `broker-client`: typed, and with nothing secret in what it prints.

use broker_client::{BatchOutcome, BatchRequest, GrantRequest};
use broker_tests::composite::{Composite, TASKS, open, step};
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};

/// Proves: GR6, CL1
#[tokio::test]
async fn gr6_the_client_gets_one_link_and_then_every_grant() {
    let duo = Composite::start().await;
    let client = duo.stage.client(TicketHelper);
    let assertion = duo.stage.world.assertion(&ALICE, TicketHelper);
    let item = |provider| GrantRequest::new(assertion.as_str(), provider, ["notes.read"]);
    let batch =
        BatchRequest::new(assertion.as_str()).item(item(PROVIDER)).item(item(TASKS)).tool("plan_week");

    let mut page = None;
    for (missing, label) in [([true, true], "Continue with Notes"), ([false, true], "Continue with Tasks")] {
        let required = match client.batch_issue_grants(&batch).await.expect("an outcome") {
            BatchOutcome::ConsentRequired(required) => required,
            other => panic!("consents were due: {other:?}"),
        };
        let found: Vec<bool> = required.items.iter().map(Option::is_some).collect();
        assert_eq!(found, missing);
        assert!(!format!("{required:?}").contains("/consent"), "links do not print");
        let link = required.url.expose();
        let at = match page.take() {
            Some(page) => page,
            None => open(&duo.browser(), link, &ALICE).await,
        };
        page = Some(step(&at, label, &ALICE).await);
    }
    let grants = match client.batch_issue_grants(&batch).await.expect("an outcome") {
        BatchOutcome::Grants(grants) => grants,
        other => panic!("grants were due: {other:?}"),
    };
    assert_eq!(grants.len(), 2);
    let printed = format!("{grants:?} {batch:?}");
    assert!(grants.iter().all(|grant| !printed.contains(grant.access_token.expose())));
    assert!(!printed.contains(&assertion));

    let error =
        client.batch_issue_grants(&BatchRequest::new(assertion.as_str())).await.expect_err("nothing asked");
    assert_eq!(error.reason(), "INVALID_ARGUMENT");
    duo.stop().await;
}
