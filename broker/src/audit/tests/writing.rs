//! Batches, deadlines and stores that fail.

use crate::{
    audit::{
        Audit, Deadline, Refused,
        testing::{House, Weather, until},
    },
    domain::{
        Clock, Entry, EventKind, Group, Outcome, Position, Reason, RuleKind, Target, TenantId, WorkloadId,
        Write,
    },
    storage::LockMode,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;

type Noted = JoinHandle<Result<Position, Refused>>;

fn note(audit: &Arc<Audit>, entry: Entry, deadline: Deadline) -> Noted {
    let audit = audit.clone();
    tokio::spawn(async move { audit.note(entry, deadline).await })
}

/// Starts a note and waits until the ledger holds its commit at the gate.
async fn occupy(house: &House, audit: &Arc<Audit>) -> Noted {
    let entered = house.ledger.entered.load(Ordering::SeqCst);
    let first = note(audit, house.session(), Deadline::none());
    until(|| house.ledger.entered.load(Ordering::SeqCst) > entered).await;
    first
}

fn rule(house: &House, kind: RuleKind) -> Entry {
    let mut entry = house.event(EventKind::BlockSet, Outcome::Allowed);
    entry.effect = vec![Write::AddRule { kind, target: Target::Tenant(TenantId::parse("acme").unwrap()) }];
    entry
}

fn settlement(house: &House) -> Entry {
    Entry { settlement: true, ..house.event(EventKind::RefreshStored, Outcome::Allowed) }
}

/// Waits for commits longer than any test should take.
async fn patient() -> House {
    let mut house = House::new().await;
    house.config.commit_timeout = Duration::from_secs(60);
    house
}

/// Proves: AU1
#[tokio::test]
async fn au1_what_gathers_during_a_commit_is_one_batch_and_rules_go_alone() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let mut rest: Vec<_> = (0..20).map(|_| note(&audit, house.session(), Deadline::none())).collect();
    rest.push(note(&audit, rule(&house, RuleKind::Block), Deadline::none()));
    until(|| audit.waiting() == (20, 1)).await;
    drop(gate);
    first.await.unwrap().unwrap();
    for one in rest {
        one.await.unwrap().unwrap();
    }
    let batches = house.ledger.stored().batches.clone();
    assert_eq!(batches[1..], [(LockMode::Shared, 1), (LockMode::Exclusive, 1), (LockMode::Shared, 20)]);
    assert_eq!(house.verify().await.unwrap().events, 23);
}

/// However many each of them has: a commit holds the lock for one short burst.
///
/// Proves: AV7, GR6
#[tokio::test]
async fn av7_gr6_a_commit_is_bounded_by_its_entries_and_divides_no_group() {
    let mut house = patient().await;
    house.config.batch = 6;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let group = || Group { entries: (0..4).map(|_| house.session()).collect() };
    let groups: Vec<_> = (0..6)
        .map(|_| {
            let (audit, group) = (audit.clone(), group());
            tokio::spawn(async move { audit.note_group(group, Deadline::none()).await })
        })
        .collect();
    until(|| audit.waiting().0 == 6).await;
    drop(gate);
    first.await.unwrap().unwrap();
    for one in groups {
        assert_eq!(one.await.unwrap().unwrap().len(), 4);
    }
    let batches = house.ledger.stored().batches.clone();
    assert_eq!(
        batches[2..],
        [(LockMode::Shared, 2); 3],
        "the second group passes the bound, a third does not"
    );
}

/// Proves: AU1, AU8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au1_concurrent_callers_get_one_row_each_at_the_position_they_are_told() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    let entries: Vec<_> = (0..500).map(|_| house.session()).collect();
    let ids: Vec<_> = entries.iter().map(|e| e.draft.id.clone()).collect();
    let tasks: Vec<_> = entries.into_iter().map(|e| note(&audit, e, Deadline::none())).collect();
    for (task, id) in tasks.into_iter().zip(ids) {
        let position = task.await.unwrap().unwrap();
        let stored = house.ledger.stored();
        let rows: Vec<_> = stored.rows.iter().filter(|r| r.columns.id == id).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].seq, &rows[0].stream), (position.seq, &position.stream));
    }
    assert!(house.ledger.stored().batches.iter().all(|(_, size)| *size <= 256));
    assert_eq!(house.verify().await.unwrap().events, 501);
}

/// Proves: AU17
#[tokio::test]
async fn au17_what_nobody_waits_for_any_more_is_withdrawn_and_settlements_are_not() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let soon = Deadline::after(&*house.clock, Duration::from_secs(5));
    let late = note(&audit, house.session(), soon);
    let gone = note(&audit, house.session(), Deadline::none());
    let kept = note(&audit, house.event(EventKind::SessionEnded, Outcome::Allowed), Deadline::none());
    let settled = note(&audit, settlement(&house), soon);
    let settled_gone = note(&audit, settlement(&house), Deadline::none());
    until(|| audit.waiting() == (3, 2)).await;
    house.clock.advance(Duration::from_secs(5));
    gone.abort();
    settled_gone.abort();
    until(|| gone.is_finished() && settled_gone.is_finished()).await;
    drop(gate);
    first.await.unwrap().unwrap();
    assert_eq!(late.await.unwrap(), Err(Refused::DeadlineExceeded));
    kept.await.unwrap().unwrap();
    settled.await.unwrap().unwrap();
    let mut kinds = house.ledger.kinds();
    kinds.sort();
    let expected = ["refresh.stored", "refresh.stored", "session.ended", "session.started", "stream.opened"];
    assert_eq!(kinds, expected);
}

/// Proves: AU17, AU3
#[tokio::test]
async fn au17_a_deadline_that_passes_in_the_queue_answers_and_leaves_no_row() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let short = Deadline::after(&*house.clock, Duration::from_millis(20));
    assert_eq!(audit.note(house.session(), short).await, Err(Refused::DeadlineExceeded));
    assert_eq!(
        audit.note(house.session(), Deadline::at(house.clock.monotonic())).await,
        Err(Refused::DeadlineExceeded)
    );
    drop(gate);
    first.await.unwrap().unwrap();
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(house.verify().await.unwrap().events, 3);
}

/// Proves: AU3
#[tokio::test]
async fn au3_a_commit_that_outlasts_its_caller_answers_unavailable_in_time() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let short = Deadline::after(&*house.clock, Duration::from_millis(20));
    let begun = note(&audit, house.session(), short);
    assert_eq!(begun.await.unwrap(), Err(Refused::Unavailable), "begun: its outcome is open");
    drop(gate);
}

/// Proves: AU3
#[tokio::test]
async fn au3_a_store_that_is_down_read_only_or_hangs_refuses_and_comes_back() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    for weather in [Weather::Down, Weather::ReadOnly, Weather::Hang] {
        house.ledger.weather(weather.clone());
        let tasks: Vec<_> = (0..3).map(|_| note(&audit, house.session(), Deadline::none())).collect();
        for task in tasks {
            let refused = task.await.unwrap().unwrap_err();
            assert_eq!(refused.reason(), Reason::AuditUnavailable, "{weather:?}");
        }
        house.ledger.weather(Weather::Fair);
        audit.note(house.session(), Deadline::none()).await.unwrap();
    }
    assert_eq!(house.verify().await.unwrap().events, 4);
}

/// Proves: AU8, AU17
#[tokio::test]
async fn au8_a_lost_acknowledgement_is_settled_by_reading_the_head() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    house.ledger.weather(Weather::LostAck);
    audit.note(house.session(), Deadline::none()).await.expect("it was written, and is answered so");
    audit.note(rule(&house, RuleKind::Block), Deadline::none()).await.unwrap();
    assert_eq!(audit.rules().epoch(), 1, "the rule of a settled commit is known");
    house.ledger.weather(Weather::LostAckThenDown);
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    house.ledger.weather(Weather::Fair);
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(house.ledger.stored().streams.len(), 1, "the stream goes on");
    assert_eq!(house.verify().await.unwrap().events, 5);
}

/// Proves: AU3
#[tokio::test]
async fn au3_a_panic_or_a_bad_group_fails_alone() {
    let house = patient().await;
    let audit = house.start().await.unwrap();
    for make in [Weather::PanicOn, Weather::ExistsOn] {
        let bad = house.session();
        let id = bad.draft.id.clone();
        let gate = house.ledger.gate.lock().await;
        let first = occupy(&house, &audit).await;
        let good = note(&audit, house.session(), Deadline::none());
        let failing = note(&audit, bad, Deadline::none());
        let also_good = note(&audit, house.session(), Deadline::none());
        until(|| audit.waiting() == (3, 0)).await;
        house.ledger.weather(make(id));
        drop(gate);
        first.await.unwrap().unwrap();
        good.await.unwrap().unwrap();
        assert_eq!(failing.await.unwrap(), Err(Refused::Unavailable));
        also_good.await.unwrap().unwrap();
        house.ledger.weather(Weather::Fair);
    }
    assert_eq!(house.verify().await.unwrap().events, 7);
}

/// Proves: AU2, AU3
#[tokio::test]
async fn au2_denials_do_not_crowd_out_grants_and_settlements_have_room_of_their_own() {
    let mut house = patient().await;
    house.config.queue = 8;
    house.config.reserved = 1;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let denial = || house.event(EventKind::CallDenied, Outcome::Denied);
    let mut waiting: Vec<_> = (0..6).map(|_| note(&audit, denial(), Deadline::none())).collect();
    until(|| audit.waiting().0 == 6).await;
    assert_eq!(audit.note(denial(), Deadline::none()).await, Err(Refused::Overloaded));
    // A refused batch: one item is the reason, the others fail with it.
    let beside = house.event(EventKind::CallDenied, Outcome::Failed);
    let batch = Group { entries: vec![beside, denial()] };
    assert_eq!(audit.note_group(batch, Deadline::none()).await, Err(Refused::Overloaded));
    waiting.extend((0..2).map(|_| note(&audit, house.session(), Deadline::none())));
    until(|| audit.waiting().0 == 8).await;
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Overloaded));
    waiting.extend((0..3).map(|_| note(&audit, settlement(&house), Deadline::none())));
    until(|| audit.waiting().1 == 1).await;
    drop(gate);
    first.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(house.verify().await.unwrap().events, 13);
}

/// Proves: AV4
#[tokio::test]
async fn av4_what_one_workload_leaves_behind_in_the_queue_keeps_no_other_out() {
    let mut house = patient().await;
    house.config.queue = 8;
    let audit = house.start().await.unwrap();
    let gate = house.ledger.gate.lock().await;
    let first = occupy(&house, &audit).await;
    let of = |workload: &str| {
        let mut entry = house.session();
        entry.draft.workload = Some(WorkloadId::parse(workload).unwrap());
        entry
    };
    // Its callers give up at once; what they asked for stays until the writer comes to it.
    for _ in 0..4 {
        let waiting = audit.waiting().0;
        let gone = note(&audit, of("impatient"), Deadline::none());
        until(|| audit.waiting().0 > waiting).await;
        gone.abort();
    }
    assert_eq!(audit.note(of("impatient"), Deadline::none()).await, Err(Refused::Overloaded));
    let other = note(&audit, of("other"), Deadline::none());
    let nobodys = note(&audit, house.session(), Deadline::none());
    until(|| audit.waiting().0 == 6).await;
    drop(gate);
    for served in [first, other, nobodys] {
        served.await.unwrap().unwrap();
    }
    audit.note(of("impatient"), Deadline::none()).await.expect("there is room again");
}

/// Proves: AU1
#[tokio::test]
async fn au1_a_group_is_written_in_order_and_shares_its_fate() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let empty = audit.note_group(Group { entries: vec![] }, Deadline::none()).await;
    assert!(matches!(empty, Err(Refused::Inconsistent(_))));
    let mut stale = house.session();
    stale.effect = vec![Write::SettleLease(crate::domain::ledger::SettleLease {
        connection: crate::domain::ConnectionId::random(&*house.rng),
        owner: String::new(),
        epoch: -1,
        rest: None,
        last_error: String::new(),
        while_stored: None,
    })];
    let both = Group { entries: vec![house.session(), stale] };
    assert_eq!(audit.note_group(both, Deadline::none()).await, Err(Refused::NotApplied));
    let outcomes: Vec<_> = house.ledger.bodies()[1..].iter().map(|b| b["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "failed"]);
    let both = Group { entries: vec![house.session(), house.session()] };
    let positions = audit.note_group(both, Deadline::none()).await.unwrap();
    assert_eq!(positions.iter().map(|p| p.seq).collect::<Vec<_>>(), [4, 5]);
}
