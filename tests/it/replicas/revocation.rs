//! Revoked and blocked on one replica while the others issue.

use broker_proto::v1::block_target::Target;
use broker_tests::operator::person;
use broker_tests::replicas::Replicas;
use broker_tests::stage::{READ, refused};
use demo::world::{ALICE, BOB, Options, Workload, Workload::ReportWriter, Workload::TicketHelper};

use crate::revocation::flood::{Flood, Late, everybody};

const BEFORE: usize = 120;
const AFTER: usize = 240;

/// Both people connected, both servers approved; rows in memory or not.
async fn busy(count: usize, in_memory: bool) -> (Replicas, String) {
    let extra = if in_memory { "" } else { "limits: { hot_rows_mebibytes: 0 }" };
    let options = Options { extra_config: extra.to_owned(), ..Options::default() };
    let replicas = Replicas::with(count, options).await;
    let alice = replicas.connect(0, &ALICE, TicketHelper, READ).await.connection_id;
    replicas.connect(0, &ALICE, ReportWriter, READ).await;
    for workload in Workload::ALL {
        replicas.connect(0, &BOB, workload, READ).await;
    }
    (replicas, alice)
}

/// Every caller at every replica.
fn flood(replicas: &Replicas) -> Flood {
    let callers = replicas.all().iter().flat_map(|replica| {
        everybody().into_iter().map(|caller| (caller, replica.client(caller.workload).clone()))
    });
    Flood::of(&replicas.site, callers.collect::<Vec<_>>())
}

/// Where every stream stands, as a table of its own: read right after an acknowledgement.
fn remember_heads(replicas: &Replicas) {
    replicas.database.sql("CREATE TABLE acknowledged AS SELECT stream, seq FROM audit_streams");
}

/// Allow rows that were committed after that and satisfy `condition`, as "stream/seq".
fn allowed_since(replicas: &Replicas, condition: &str) -> String {
    replicas.database.sql(&format!(
        "SELECT string_agg(e.stream || '/' || e.seq, ' ') FROM audit_events e \
         LEFT JOIN acknowledged a ON a.stream = e.stream \
         WHERE e.seq > coalesce(a.seq, 0) AND e.outcome = 'allowed' AND e.kind LIKE 'grant.%' AND {condition}"
    ))
}

fn all_bobs(late: &[Late]) {
    assert!(late.iter().all(|late| late.person == "bob"), "{late:?}");
    assert!(!late.is_empty(), "bob is served on");
}

/// A lift on another replica is heard with the next commit, be it the refusal itself or a sign of life.
async fn served_again(replicas: &Replicas, number: usize) {
    let first = replicas.ask(number, &BOB, ReportWriter, READ).await;
    if first.is_err() {
        assert_eq!(refused(first), "BLOCKED");
        replicas.grant(number, &BOB, ReportWriter, READ).await;
    }
}

async fn revoked_on_one(count: usize, in_memory: bool) {
    let (replicas, alice) = busy(count, in_memory).await;
    let flood = flood(&replicas);
    flood.running(BEFORE).await;
    let answer = replicas.operator(0).revoke(&alice).await.expect("acknowledged");
    remember_heads(&replicas);
    assert!(answer.revocation_epoch > 0);
    all_bobs(&flood.acknowledged(AFTER).await);
    let named = format!("convert_from(e.body, 'UTF8')::json ->> 'connection' = '{alice}'");
    assert_eq!(allowed_since(&replicas, &named), "");
    assert_ne!(allowed_since(&replicas, "true"), "", "others were served meanwhile");
    replicas.stop().await;
}

async fn blocked_on_one(count: usize, in_memory: bool) {
    let (replicas, _) = busy(count, in_memory).await;
    let flood = flood(&replicas);
    flood.running(BEFORE).await;
    let last = count - 1;
    let target = || Target::Workload("report-writer".to_owned());
    let epoch = replicas.operator(0).block(target()).await.expect("acknowledged");
    remember_heads(&replicas);
    let late = flood.acknowledged(AFTER).await;
    assert!(late.iter().all(|late| late.workload == TicketHelper) && !late.is_empty(), "{late:?}");
    assert_eq!(allowed_since(&replicas, "e.workload = 'report-writer'"), "");
    assert_ne!(allowed_since(&replicas, "true"), "", "others were served meanwhile");

    // Lifted on another replica, everybody is served everywhere.
    assert_eq!(refused(replicas.ask(last, &BOB, ReportWriter, READ).await), "BLOCKED");
    assert_eq!(replicas.operator(last).unblock(target()).await.expect("lifted"), epoch + 1);
    replicas.operator(last).block(person(&ALICE)).await.expect("acknowledged");
    for number in 0..count {
        served_again(&replicas, number).await;
        assert_eq!(refused(replicas.ask(number, &ALICE, TicketHelper, READ).await), "BLOCKED");
    }
    replicas.stop().await;
}

/// Proves: RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rv2_nothing_is_committed_on_any_replica_after_a_revocation_on_one() {
    revoked_on_one(2, true).await;
    revoked_on_one(3, false).await;
}

/// Proves: RV2, ID11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rv2_nothing_is_committed_on_any_replica_after_a_block_on_one() {
    blocked_on_one(3, true).await;
    blocked_on_one(2, false).await;
}
