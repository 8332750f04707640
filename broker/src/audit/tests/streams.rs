//! Opening, ending and recovering streams.

use crate::{
    audit::{
        AuditError, Deadline, Refused,
        chain::StreamState,
        testing::{House, Weather},
    },
    domain::{EventKind, Outcome, RuleKind, Target, TenantId, Write},
};
use std::time::Duration;

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
}

/// Proves: AU8
#[tokio::test]
async fn au8_a_crash_between_ending_and_saying_so_is_made_good_once() {
    let house = House::new().await;
    drop(house.start().await.unwrap());
    // Twice in a row, the successor dies after ending the streams before it and before its first event.
    house.ledger.weather(Weather::ReadOnly);
    assert!(house.start().await.is_err());
    assert!(house.start().await.is_err());
    house.ledger.weather(Weather::Fair);
    house.verify().await.expect("what is not said yet is no fault while the last stream is empty");
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
