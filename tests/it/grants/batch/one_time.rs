//! A batch is one use of an assertion that is good for one.

use broker_proto::v1::batch_issue_grants_response::Outcome;
use broker_tests::composite::{Composite, both, reason};
use broker_tests::stage::{READ, granted, one_time, refused};
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};

const REPLAYED: &str = "ASSERTION_REPLAYED";

async fn connected() -> Composite {
    let duo = Composite::with(one_time()).await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    duo
}

/// Proves: ID12, GR6
#[tokio::test]
async fn id12_gr6_a_batch_uses_its_assertion_once_and_for_all() {
    let duo = connected().await;
    let client = duo.stage.client(TicketHelper);
    let batch = duo.request(&ALICE, TicketHelper, both());
    let Ok(Outcome::Grants(grants)) = duo.send(TicketHelper, batch.clone()).await else { panic!("grants") };
    assert_eq!(grants.grants.len(), 2);
    let mut database = duo.stage.database().await;
    let count = "SELECT CAST(count(*) AS TEXT) FROM used_assertions";
    assert_eq!(database.text(count).await, "1");
    let before = database.events().await.len();
    assert_eq!(reason(duo.send(TicketHelper, batch.clone()).await), (REPLAYED.to_owned(), None));
    let events = database.events().await;
    let told: Vec<_> = events[before..].iter().map(|e| (e.outcome.as_str(), e.reason.as_str())).collect();
    assert_eq!(told, [("denied", REPLAYED), ("failed", "CONFLICT")], "one row for each item");
    // Nor for a grant by itself; and the other way round.
    let single = broker_client::GrantRequest::new(batch.assertion, PROVIDER, READ.iter().copied());
    assert_eq!(refused(client.issue_grant(&single).await), REPLAYED);
    let batch = duo.request(&ALICE, TicketHelper, both());
    let single = broker_client::GrantRequest::new(batch.assertion.clone(), PROVIDER, READ.iter().copied());
    granted(client.issue_grant(&single).await);
    assert_eq!(reason(duo.send(TicketHelper, batch).await).0, REPLAYED);
    duo.stop().await;
}

/// Proves: ID12, GR5, GR6
#[tokio::test]
async fn id12_gr5_a_repeated_batch_needs_no_second_use() {
    let duo = connected().await;
    let mut batch = duo.request(&ALICE, TicketHelper, both());
    batch.request_id = Some("once".to_owned());
    let calls = (0..3).map(|_| duo.send(TicketHelper, batch.clone()));
    let mut answers = Vec::new();
    for answer in futures::future::join_all(calls).await {
        let Ok(Outcome::Grants(grants)) = answer else { panic!("grants were due: {answer:?}") };
        answers.push(grants.grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    duo.stop().await;
}
