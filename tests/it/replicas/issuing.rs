//! Calls that reach several replicas at once.

use std::collections::BTreeSet;
use std::time::Duration;

use broker_client::Outcome;
use broker_tests::replicas::Replicas;
use broker_tests::stage::READ;
use demo::saas::Event;
use demo::world::{ALICE, Workload::TicketHelper};
use futures::future::join_all;

/// Proves: GR5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gr5_one_request_id_at_every_replica_at_once_is_one_grant() {
    for count in [2, 3] {
        let replicas = Replicas::start(count).await;
        replicas.connect(0, &ALICE, TicketHelper, READ).await;
        for round in 0..8 {
            let request = replicas.request(&ALICE, TicketHelper, READ).request_id(format!("round-{round}"));
            let calls =
                replicas.all().iter().map(|replica| replica.client(TicketHelper).issue_grant(&request));
            let mut ids = BTreeSet::new();
            let mut answers = 0;
            for outcome in join_all(calls).await {
                match outcome {
                    Ok(Outcome::Grant(grant)) => {
                        ids.insert((grant.id.clone(), grant.access_token.expose().to_owned()));
                        answers += 1;
                    }
                    other => panic!("a grant was due: {other:?}"),
                }
            }
            let [(id, _)] = ids.iter().collect::<Vec<_>>()[..] else { panic!("{} grants", ids.len()) };
            let rows = |kind: &str, field: &str| {
                let sql = format!(
                    "SELECT count(*) FROM audit_events WHERE kind = '{kind}' AND outcome = 'allowed' \
                     AND convert_from(body, 'UTF8')::json ->> '{field}' = '{id}'"
                );
                replicas.database.sql(&sql).parse::<usize>().expect("a number")
            };
            assert_eq!((rows("grant.issue", "id"), rows("grant.redelivered", "grant")), (1, answers - 1));
        }
        replicas.stop().await;
    }
}

/// Nothing is read from a database of one's own: what one replica connected, all serve; and each has a stream of its own.
///
/// Proves: AU8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au8_every_replica_writes_a_stream_of_its_own_and_each_is_whole() {
    let replicas = Replicas::start(3).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    for number in [1, 2, 0, 2, 1] {
        replicas.grant(number, &ALICE, TicketHelper, READ).await;
    }
    assert_eq!(replicas.database.sql("SELECT count(*) FROM audit_streams WHERE open = 1"), "3");
    let rooms = replicas.at(0).rooms();
    let log = (&*rooms.store.ledger, &*rooms.store.audit_log);
    broker::audit::verify(log.0, log.1, &rooms.keys.audit_keys(), &mut |_| {}).await.expect("it verifies");
    let database = replicas.database.clone();
    replicas.stop().await;
    assert_eq!(database.sql("SELECT count(*) FROM audit_streams WHERE open = 1"), "0");
    let gaps = "SELECT count(*) FROM audit_streams s \
                WHERE seq <> (SELECT count(*) FROM audit_events e WHERE e.stream = s.stream)";
    assert_eq!(database.sql(gaps), "0");
}

/// A token that ran out, asked for on every replica at once: the provider is called once, and all are served what the one that called
/// has stored.
///
/// Proves: RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf1_a_token_that_ran_out_is_refreshed_once_by_all_replicas() {
    let replicas = Replicas::start(3).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    for round in 1..=6 {
        replicas.advance(Duration::from_secs(700));
        let grants = join_all((0..3).map(|number| replicas.grant(number, &ALICE, TicketHelper, READ))).await;
        let tokens: BTreeSet<_> = grants.iter().map(|grant| grant.access_token.expose()).collect();
        let [token] = tokens.iter().collect::<Vec<_>>()[..] else { panic!("{} tokens", tokens.len()) };
        let facts = replicas.site.notes().introspect(token);
        assert!(facts.expect("the provider knows it").live);
        let truth = replicas.site.notes().truth();
        let refreshed = truth.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count();
        assert_eq!(refreshed, round, "one call each time");
        let misused =
            |event: &Event| matches!(event, Event::ReuseDetected { .. } | Event::RefreshRefused { .. });
        assert!(!truth.iter().any(misused));
    }
    replicas.stop().await;
}
