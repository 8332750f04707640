//! One assertion that is good for one grant, shown to every replica.

use broker_client::Outcome;
use broker_tests::replicas::Replicas;
use broker_tests::stage::{READ, one_time, refused};
use demo::world::{ALICE, Workload::TicketHelper};
use futures::future::join_all;

const REPLAYED: &str = "ASSERTION_REPLAYED";

fn rows(replicas: &Replicas, outcome: &str, reason: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM audit_events WHERE kind = 'grant.issue' AND outcome = '{outcome}' AND reason = '{reason}'"
    );
    replicas.database.sql(&sql).parse().expect("a number")
}

/// Proves: ID12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id12_one_assertion_at_every_replica_at_once_is_one_grant() {
    let replicas = Replicas::with(2, one_time()).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    for round in 0..12 {
        let request = replicas.request(&ALICE, TicketHelper, READ);
        let before = (rows(&replicas, "allowed", ""), rows(&replicas, "denied", REPLAYED));
        let calls = replicas.all().iter().enumerate().map(|(number, replica)| {
            let request = request.clone();
            // With and without request ids, each of its own.
            let request =
                if round % 2 == 0 { request.request_id(format!("{round}-{number}")) } else { request };
            async move { replica.client(TicketHelper).issue_grant(&request).await }
        });
        let mut grants = 0;
        for answer in join_all(calls).await {
            match answer {
                Ok(Outcome::Grant(_)) => grants += 1,
                other => assert_eq!(refused(other), REPLAYED),
            }
        }
        assert_eq!(grants, 1, "round {round}");
        let after = (rows(&replicas, "allowed", ""), rows(&replicas, "denied", REPLAYED));
        assert_eq!(after, (before.0 + 1, before.1 + 1), "round {round}");
    }
    replicas.stop().await;
}

/// Proves: ID12, GR5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id12_gr5_one_request_at_every_replica_at_once_is_one_grant_and_no_replay() {
    let replicas = Replicas::with(2, one_time()).await;
    replicas.connect(1, &ALICE, TicketHelper, READ).await;
    for round in 0..8 {
        let request = replicas.request(&ALICE, TicketHelper, READ).request_id(format!("round-{round}"));
        let calls = replicas.all().iter().map(|replica| replica.client(TicketHelper).issue_grant(&request));
        let mut ids = Vec::new();
        for answer in join_all(calls).await {
            let Ok(Outcome::Grant(grant)) = answer else { panic!("a grant was due: {answer:?}") };
            ids.push(grant.id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        // What one replica answered is known to the other.
        let other = request.request_id("another");
        assert_eq!(refused(replicas.at(round % 2).client(TicketHelper).issue_grant(&other).await), REPLAYED);
    }
    replicas.stop().await;
}
