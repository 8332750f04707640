//! A request id makes the retry of a batch safe: the same grants, or none.

use broker_proto::v1::{BatchIssueGrantsRequest, batch_issue_grants_response::Outcome};
use broker_tests::composite::{Composite, both, item, reason};
use broker_tests::stage::{READ, granted, refused};
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use std::time::Duration;

const ID: &str = "4f8c1f2e";

async fn connected() -> Composite {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    duo
}

fn with_id(duo: &Composite) -> BatchIssueGrantsRequest {
    BatchIssueGrantsRequest { request_id: Some(ID.to_owned()), ..duo.request(&ALICE, TicketHelper, both()) }
}

/// Proves: GR5, GR6
#[tokio::test]
async fn gr5_a_repeated_batch_is_answered_with_the_same_grants() {
    let duo = connected().await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        match duo.send(TicketHelper, with_id(&duo)).await {
            Ok(Outcome::Grants(grants)) => answers.push(grants.grants),
            other => panic!("grants were due: {other:?}"),
        }
        duo.stage.clock.advance(Duration::from_secs(30));
    }
    for (first, second) in answers[0].iter().zip(&answers[1]) {
        assert_eq!((&first.id, &first.access_token), (&second.id, &second.access_token));
        assert_eq!(first.expire_time, second.expire_time, "never longer than the first answer said");
    }
    let events = duo.stage.database().await.events().await;
    let last: Vec<_> =
        events[events.len() - 2..].iter().map(|e| (e.kind.as_str(), e.text("/grant"))).collect();
    let ids: Vec<_> = answers[0].iter().map(|g| ("grant.redelivered", g.id.as_str())).collect();
    assert_eq!(last, ids);
    duo.stop().await;
}

/// Proves: GR5, GR6
#[tokio::test]
async fn gr5_at_the_same_time_too_there_is_one_batch() {
    let duo = connected().await;
    let calls = (0..4).map(|_| duo.send(TicketHelper, with_id(&duo)));
    let mut ids = Vec::new();
    for answer in futures::future::join_all(calls).await {
        match answer {
            Ok(Outcome::Grants(grants)) => {
                ids.push(grants.grants.into_iter().map(|g| g.id).collect::<Vec<_>>())
            }
            other => panic!("grants were due: {other:?}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one answer to all of them: {ids:?}");
    let events = duo.stage.database().await.events().await;
    let issued = events.iter().filter(|e| e.kind == "grant.issue" && e.outcome == "allowed").count();
    assert_eq!(issued, 2);
    duo.stop().await;
}

/// Proves: GR5, GR6
#[tokio::test]
async fn gr5_another_batch_or_a_single_call_under_the_same_id_is_refused() {
    let duo = connected().await;
    duo.send(TicketHelper, with_id(&duo)).await.expect("grants");
    let other = |items| BatchIssueGrantsRequest { items, ..with_id(&duo) };
    let mut three = both();
    three.push(item(PROVIDER, &["notes.write"]));
    let mut shorter = both();
    shorter[1].ttl = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    for items in [both().into_iter().rev().collect(), both()[..1].to_vec(), three, shorter] {
        assert_eq!(reason(duo.send(TicketHelper, other(items)).await).0, "REQUEST_ID_REUSED");
    }
    let client = duo.stage.client(TicketHelper);
    let single = || duo.stage.request(&ALICE, TicketHelper, READ);
    assert_eq!(refused(client.issue_grant(&single().request_id(ID)).await), "REQUEST_ID_REUSED");
    // And the other way round.
    granted(client.issue_grant(&single().request_id("second")).await);
    let batch = BatchIssueGrantsRequest { request_id: Some("second".to_owned()), ..with_id(&duo) };
    assert_eq!(reason(duo.send(TicketHelper, batch).await).0, "REQUEST_ID_REUSED");
    duo.stop().await;
}

/// Proves: GR5, GR6
#[tokio::test]
async fn gr5_a_repeat_of_which_one_token_is_gone_gives_none() {
    let duo = connected().await;
    duo.send(TicketHelper, with_id(&duo)).await.expect("grants");
    let mut database = duo.stage.database().await;
    database
        .edit("DELETE FROM connection_secrets WHERE kind = 'access' AND connection IN (SELECT id FROM connections WHERE provider = 'tasks')")
        .await;
    let (why, item) = reason(duo.send(TicketHelper, with_id(&duo)).await);
    assert_eq!((why.as_str(), item.as_deref()), ("REQUEST_ID_STALE", Some("1")));
    duo.stop().await;
}
