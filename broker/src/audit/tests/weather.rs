//! Whatever the store does and whenever the process dies: what was acknowledged is there once, and the log verifies.

use crate::{
    audit::{
        Audit, Deadline,
        testing::{House, Weather},
    },
    domain::{Entry, EventId, EventKind, Outcome, Position, RuleKind, Target, TenantId, Write},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

#[derive(Clone, Debug)]
enum Step {
    Notes(usize),
    Settle,
    Block,
    Turn(u8),
    Wait,
    Crash,
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..6).prop_map(Step::Notes),
        1 => Just(Step::Settle),
        1 => Just(Step::Block),
        4 => (0u8..5).prop_map(Step::Turn),
        2 => Just(Step::Wait),
        1 => Just(Step::Crash),
        1 => Just(Step::End),
    ];
    proptest::collection::vec(step, 1..40)
}

fn weather(turn: u8) -> Weather {
    match turn {
        0 => Weather::Fair,
        1 => Weather::Down,
        2 => Weather::ReadOnly,
        3 => Weather::LostAck,
        _ => Weather::LostAckThenDown,
    }
}

#[derive(Default)]
struct Ledger {
    acknowledged: Vec<(EventId, Position)>,
    refused: Vec<EventId>,
}

impl Ledger {
    async fn write(&mut self, audit: Option<&Arc<Audit>>, entries: Vec<Entry>) {
        let Some(audit) = audit else { return };
        let notes = entries
            .into_iter()
            .map(|entry| async move { (entry.draft.id.clone(), audit.note(entry, Deadline::none()).await) });
        for (id, noted) in futures::future::join_all(notes).await {
            match noted {
                Ok(position) => self.acknowledged.push((id, position)),
                Err(_) => self.refused.push(id),
            }
        }
    }

    fn check(&self, house: &House) {
        let stored = house.ledger.stored();
        let rows = |id: &EventId| stored.rows.iter().filter(|r| r.columns.id == *id).collect::<Vec<_>>();
        for (id, position) in &self.acknowledged {
            let rows = rows(id);
            assert_eq!(rows.len(), 1, "acknowledged and written once");
            assert_eq!((&rows[0].stream, rows[0].seq), (&position.stream, position.seq));
        }
        assert!(self.refused.iter().all(|id| rows(id).len() <= 1));
    }
}

async fn live(steps: Vec<Step>) {
    let house = House::new().await;
    let mut audit = house.start().await.ok();
    let mut told = Ledger::default();
    for step in steps {
        match step {
            Step::Notes(count) => {
                told.write(audit.as_ref(), (0..count).map(|_| house.session()).collect()).await;
            }
            Step::Settle => {
                let stored = house.event(EventKind::RefreshStored, Outcome::Allowed);
                told.write(audit.as_ref(), vec![Entry { settlement: true, ..stored }]).await;
            }
            Step::Block => {
                let mut block = house.event(EventKind::BlockSet, Outcome::Allowed);
                let target = Target::Tenant(TenantId::parse("acme").unwrap());
                block.effect = vec![Write::AddRule { kind: RuleKind::Block, target }];
                told.write(audit.as_ref(), vec![block, house.session()]).await;
            }
            Step::Turn(turn) => house.ledger.weather(weather(turn)),
            Step::Wait => house.clock.advance(Duration::from_secs(1)),
            Step::Crash => {
                drop(audit.take());
                audit = house.start().await.ok();
            }
            Step::End => {
                if let Some(audit) = audit.take() {
                    let _ = audit.close(Deadline::none()).await;
                }
                audit = house.start().await.ok();
            }
        }
    }
    house.ledger.weather(Weather::Fair);
    house.clock.advance(Duration::from_secs(1));
    if audit.is_none() {
        audit = Some(house.start().await.expect("the next start needs no human"));
    }
    let audit = audit.unwrap();
    // A writer that was refused twice running has opened a new stream by itself.
    let last = house.session();
    let mut noted = audit.note(last.clone(), Deadline::none()).await;
    if noted.is_err() {
        house.clock.advance(Duration::from_secs(1));
        noted = audit.note(last, Deadline::none()).await;
    }
    noted.expect("fair weather");
    let rules = house.ledger.stored().epochs.len() as i64;
    assert_eq!(audit.rules().epoch(), rules, "every rule is known");
    told.check(&house);
    house.verify().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Proves: AU1, AU3, AU8, AU17
    #[test]
    fn au8_any_weather_leaves_an_honest_log(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}
