//! Opening, ending and recovering streams.

use crate::{
    audit::{
        Audit, AuditError, Deadline, Refused,
        chain::StreamState,
        check_continuity,
        testing::{House, Weather, until, until_later},
    },
    domain::{EventId, EventKind, Outcome, Position, RuleKind, StreamId, Target, TenantId, Write},
    storage::{AuditFilter, AuditLog, AuditRow, StoreError},
};
use async_trait::async_trait;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

fn recoveries(house: &House) -> Vec<String> {
    let bodies = house.ledger.bodies();
    let of = |b: &serde_json::Value| b["detail"]["stream"].as_str().map(str::to_owned);
    bodies.iter().filter(|b| b["kind"] == "stream.recovered").filter_map(of).collect()
}

fn states(house: &House) -> Vec<StreamState> {
    let keys = house.keys.audit_keys();
    let stored = house.ledger.stored();
    stored.streams.iter().map(|s| StreamState::vouched(&keys, &s.head, &s.mac).unwrap()).collect()
}

/// Proves: AU8
#[tokio::test]
async fn au8_a_clean_end_needs_no_recovery() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert!(audit.is_open());
    audit.close(Deadline::none()).await.unwrap();
    assert!(!audit.is_open());
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    house.start().await.unwrap();
    assert_eq!(states(&house), [StreamState::Closed, StreamState::Open]);
    assert_eq!(house.ledger.kinds(), ["stream.opened", "session.started", "stream.closed", "stream.opened"]);
    let bodies = house.ledger.bodies();
    assert_eq!(bodies[3]["detail"]["predecessor"], bodies[0]["stream"]);
    let verified = house.verify().await.unwrap();
    assert_eq!((verified.streams, verified.events, verified.open), (2, 4, 1));
}

/// Proves: AU8
#[tokio::test]
async fn au8_a_dead_stream_gets_exactly_one_recovery_record() {
    let house = House::new().await;
    drop(house.start().await.unwrap());
    drop(house.start().await.unwrap());
    house.start().await.unwrap().close(Deadline::none()).await.unwrap();
    house.start().await.unwrap();
    assert_eq!(
        states(&house),
        [StreamState::Recovered, StreamState::Recovered, StreamState::Closed, StreamState::Open]
    );
    assert_eq!(recoveries(&house).len(), 2);
    assert_eq!(house.verify().await.unwrap().recovered, 2);
    // A stream's own events are counted like everybody's: every event that is committed.
    let text = house.config.metrics.render();
    for (kind, count) in [("opened", 4), ("recovered", 2), ("closed", 1)] {
        let line =
            format!("kind=\"stream.{kind}\",outcome=\"allowed\",reason=\"\",provider=\"\"}} {count}\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
}

/// Proves: AU8
#[tokio::test]
async fn au8_a_crash_while_succeeding_leaves_every_end_to_the_next_and_each_is_recorded_once() {
    let house = House::new().await;
    drop(house.start().await.unwrap());
    // Twice in a row, the successor dies after opening its stream and before its first commit.
    house.ledger.weather(Weather::ReadOnly);
    assert!(house.start().await.is_err());
    assert!(house.start().await.is_err());
    house.ledger.weather(Weather::Fair);
    assert_eq!(states(&house), [StreamState::Open; 3], "an end and its record are one commit");
    house.verify().await.unwrap();
    house.start().await.unwrap();
    let mut said = recoveries(&house);
    said.sort();
    let mut dead: Vec<_> =
        house.ledger.stored().streams[..3].iter().map(|s| s.head.stream.as_str().to_owned()).collect();
    dead.sort();
    assert_eq!(said, dead);
    assert_eq!(house.verify().await.unwrap().recovered, 3);
}

/// Proves: AU8
#[tokio::test]
async fn au8_of_two_replicas_that_find_a_dead_stream_one_ends_it_and_records_it() {
    let mut house = House::new().await;
    house.config.commit_timeout = Duration::from_secs(5);
    drop(house.start().await.unwrap());
    // Both read the streams before either commits.
    let gate = house.ledger.gate.lock().await;
    let entered = house.ledger.entered.load(Ordering::SeqCst);
    let both = async { tokio::join!(house.start(), house.start()) };
    let opened = async {
        until(|| house.ledger.entered.load(Ordering::SeqCst) == entered + 2).await;
        // Alive, as far as the other can tell.
        house.ledger.stored().streams.iter_mut().for_each(|s| s.silent_for = Duration::ZERO);
        drop(gate);
    };
    let ((one, other), ()) = tokio::join!(both, opened);
    assert!(one.is_ok() && other.is_ok());
    let dead = house.ledger.stored().streams[0].head.stream.as_str().to_owned();
    let outcomes: Vec<_> = (house.ledger.bodies().iter())
        .filter(|b| b["kind"] == "stream.recovered" && b["detail"]["stream"] == dead.as_str())
        .map(|b| b["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["allowed", "failed"]);
    house.verify().await.unwrap();
}

/// Proves: AU8, AU16
#[tokio::test]
async fn au16_a_stream_that_is_long_or_of_an_earlier_window_is_followed_by_another() {
    let mut house = House::new().await;
    house.config.stream_events = 4;
    house.config.stream_window = Duration::from_secs(3600);
    let audit = house.start().await.unwrap();
    for _ in 0..5 {
        audit.note(house.session(), Deadline::none()).await.unwrap();
    }
    assert_eq!(states(&house), [StreamState::Closed, StreamState::Open]);
    house.clock.advance(Duration::from_secs(3600));
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(states(&house), [StreamState::Closed, StreamState::Closed, StreamState::Open]);
    assert_eq!(house.verify().await.unwrap().streams, 3);

    // Where the end cannot be written nothing else is, and all goes on once it can.
    house.clock.advance(Duration::from_secs(3600));
    house.ledger.weather(Weather::ReadOnly);
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    house.ledger.weather(Weather::Fair);
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(states(&house).len(), 4);
    house.verify().await.unwrap();
}

/// Proves: AU8, RV2
#[tokio::test]
async fn au8_an_idle_writer_shows_that_it_lives_learns_what_others_revoked_and_ends_the_dead() {
    let house = House::new().await;
    house.ledger.stored().heartbeat = Some(Duration::from_millis(1));
    let idle = house.start().await.unwrap();
    let busy = house.start().await.unwrap();
    let mut block = house.event(EventKind::BlockSet, Outcome::Allowed);
    let target = Target::Tenant(TenantId::parse("acme").unwrap());
    block.effect = vec![Write::AddRule { kind: RuleKind::Block, target }];
    busy.note(block, Deadline::none()).await.unwrap();
    until_later(|| idle.rules().epoch() == 1).await;
    // The other one is killed: nothing says so but its silence.
    drop(busy);
    house.ledger.stored().streams[1].silent_for = Duration::MAX;
    until_later(|| states(&house) == [StreamState::Open, StreamState::Recovered]).await;
    assert_eq!(recoveries(&house).len(), 1);
    house.verify().await.unwrap();
}

/// Proves: AU8
#[tokio::test]
async fn au8_a_moved_head_ends_the_stream_for_good_and_a_new_one_goes_on() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    audit.note(house.session(), Deadline::none()).await.unwrap();
    // Another process takes over, as at a second start.
    let other = house.start().await.unwrap();
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    drop(other);
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(states(&house), [StreamState::Recovered, StreamState::Recovered, StreamState::Open]);
    house.verify().await.unwrap();
}

/// Proves: AU3
#[tokio::test]
async fn au3_a_writer_that_cannot_open_a_new_stream_tries_again_after_a_while() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    drop(house.start().await.unwrap());
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    house.ledger.weather(Weather::Down);
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable));
    house.ledger.weather(Weather::Fair);
    assert_eq!(audit.note(house.session(), Deadline::none()).await, Err(Refused::Unavailable), "not yet");
    house.clock.advance(Duration::from_secs(1));
    audit.note(house.session(), Deadline::none()).await.unwrap();
    house.verify().await.unwrap();
}

/// A commit that failed leaves a writer without a stream to write to. What it tries then counts as well: an outage ends when something
/// works again, not when the first thing failed.
///
/// Proves: RF7
#[tokio::test]
async fn rf7_an_outage_lasts_as_long_as_nothing_reaches_the_database() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let minute = Duration::from_secs(60);
    house.clock.advance(minute);
    assert_eq!(audit.fair_for(), minute, "since it began");
    // The commit is not heard of any more, and its head cannot be read.
    house.ledger.weather(Weather::Down);
    assert!(audit.note(house.session(), Deadline::none()).await.is_err());
    house.clock.advance(10 * minute);
    assert!(audit.note(house.session(), Deadline::none()).await.is_err(), "the head cannot be read still");
    assert_eq!(audit.fair_for(), Duration::ZERO);
    house.clock.advance(minute);
    house.ledger.weather(Weather::Fair);
    audit.note(house.session(), Deadline::none()).await.unwrap();
    assert_eq!(audit.fair_for(), minute, "by what was seen here");

    // Its stream ended, and none can be opened.
    drop(house.start().await.unwrap());
    assert!(audit.note(house.session(), Deadline::none()).await.is_err());
    assert_eq!(audit.fair_for(), minute, "that is no outage");
    house.ledger.weather(Weather::Down);
    house.clock.advance(minute);
    assert!(audit.note(house.session(), Deadline::none()).await.is_err());
    assert_eq!(audit.fair_for(), Duration::ZERO);
    house.clock.advance(minute);
    assert!(audit.note(house.session(), Deadline::none()).await.is_err());
    assert_eq!(audit.fair_for(), Duration::ZERO);
}

/// Nobody asks for anything: its sign of life finds the outage.
///
/// Proves: RF7
#[tokio::test]
async fn rf7_an_idle_replica_notices_an_outage_too() {
    let house = House::new().await;
    house.ledger.stored().heartbeat = Some(Duration::from_millis(1));
    let audit = house.start().await.unwrap();
    house.ledger.weather(Weather::Down);
    house.clock.advance(Duration::from_secs(60));
    until_later(|| audit.fair_for() == Duration::ZERO).await;
    house.clock.advance(Duration::from_secs(60));
    until_later(|| audit.fair_for() == Duration::ZERO).await;
}

/// Proves: VA11, AU8
#[tokio::test]
async fn va11_an_edited_rule_or_stream_head_refuses_the_start() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let mut block = house.event(EventKind::BlockSet, Outcome::Allowed);
    let target = Target::Tenant(TenantId::parse("acme").unwrap());
    block.effect = vec![Write::AddRule { kind: RuleKind::Block, target }];
    audit.note(block, Deadline::none()).await.unwrap();
    drop(audit);

    let head = house.ledger.stored().streams[0].head.clone();
    house.ledger.stored().streams[0].head.seq = 1;
    assert!(matches!(house.start().await, Err(AuditError::StreamTampered(_))));
    assert!(house.ledger.stored().streams[0].open, "and it is not signed anew");
    house.ledger.stored().streams[0].head = head;

    let rule = house.ledger.stored().rules[0].clone();
    let (mut edited, mac) = (rule.stored_parts().0.clone(), rule.stored_parts().1.clone());
    edited.kind = RuleKind::Lift;
    house.ledger.stored().rules[0] = crate::domain::Tagged::from_storage(edited, mac);
    assert!(matches!(house.start().await, Err(AuditError::RuleTampered { epoch: 1 })));
    house.ledger.stored().rules[0] = rule;
    assert_eq!(house.start().await.unwrap().rules().epoch(), 1);
}

/// A process that runs already goes on beside a dead stream whose head was edited, and still ends the others.
///
/// Proves: AU8, AU3
#[tokio::test]
async fn au8_an_edited_head_of_a_dead_stream_stops_no_running_writer_and_is_not_signed_anew() {
    let mut house = House::new().await;
    house.config.stream_events = 6;
    for _ in 0..2 {
        drop(house.start().await.unwrap());
        house.ledger.stored().streams.iter_mut().for_each(|s| s.silent_for = Duration::ZERO);
    }
    let audit = house.start().await.unwrap();
    {
        let mut stored = house.ledger.stored();
        stored.streams[0].head.seq = 0;
        stored.streams[..2].iter_mut().for_each(|s| s.silent_for = Duration::MAX);
    }
    // Its stream is full in between: it ends it, and opens the next.
    for _ in 0..8 {
        audit.note(house.session(), Deadline::none()).await.unwrap();
    }
    let streams = house.ledger.stored().streams.clone();
    let keys = house.keys.audit_keys();
    let states: Vec<_> = streams.iter().map(|s| StreamState::vouched(&keys, &s.head, &s.mac)).collect();
    assert_eq!(
        states,
        [None, Some(StreamState::Recovered), Some(StreamState::Closed), Some(StreamState::Open)]
    );
    assert!(streams[0].open);
    assert!(matches!(house.start().await, Err(AuditError::StreamTampered(_))), "a start is refused");
    assert!(house.verify().await.is_err(), "and who verifies finds it");
}

/// A log that has one event more whenever somebody looks.
struct Growing<'a>(&'a House, Arc<Audit>);

#[async_trait]
impl AuditLog for Growing<'_> {
    async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.0.ledger.list(filter, after, limit).await
    }

    async fn scan(&self, stream: &StreamId, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.1.note(self.0.session(), Deadline::none()).await.unwrap();
        self.0.ledger.scan(stream, after_seq, limit).await
    }

    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError> {
        self.0.ledger.by_id(id).await
    }
}

/// A replica that starts while others write finds their newest stream longer than its head just said.
///
/// Proves: AU8
#[tokio::test]
async fn au8_a_stream_that_another_replica_writes_meanwhile_is_in_order() {
    let house = House::new().await;
    let log = Growing(&house, house.start().await.unwrap());
    check_continuity(&*house.ledger, &log, &house.keys.audit_keys()).await.expect("nobody edited anything");
    // What was there is looked at all the same.
    house.ledger.stored().rows[0].hash[0] ^= 1;
    let found = check_continuity(&*house.ledger, &log, &house.keys.audit_keys()).await;
    assert!(matches!(found, Err(AuditError::StreamTampered(_))), "{found:?}");
}
