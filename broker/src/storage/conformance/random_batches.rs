use super::{Fixture, pen::Pen, samples, seal::sha256};
use crate::domain::{Applied, Connection, Entry, Group, Names, RuleKind, Target, Write};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Note,
    Insert,
    /// The same connection again.
    Repeat,
    Claim(u8),
    Use(u8),
    Block,
    Rely,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Note),
        Just(Step::Insert),
        Just(Step::Repeat),
        (0_u8..6).prop_map(Step::Claim),
        (0_u8..6).prop_map(Step::Use),
        Just(Step::Block),
        Just(Step::Rely),
    ]
}

fn entry(pen: &Pen<'_>, repeated: &Connection, step: Step) -> Entry {
    let note = samples::note();
    match step {
        Step::Note => note,
        Step::Insert => {
            Entry { effect: vec![Write::InsertConnection(pen.tag(samples::connection()))], ..note }
        }
        Step::Repeat => Entry { effect: vec![Write::InsertConnection(pen.tag(repeated.clone()))], ..note },
        Step::Use(byte) => Entry { effect: vec![Write::UseAssertion(samples::used(byte))], ..note },
        Step::Claim(byte) => Entry { claim: Some(samples::claim(byte)), ..note },
        Step::Block => {
            let target = Target::Workload(samples::workload());
            Entry { effect: vec![Write::AddRule { kind: RuleKind::Block, target }], ..note }
        }
        Step::Rely => {
            let names = Names { workload: Some(samples::workload()), ..Names::default() };
            Entry { names, epoch: pen.epoch, ..note }
        }
    }
}

/// Random batches from two writers; afterwards each stream is one chain without a gap that ends at its head.
pub(crate) async fn run(fixture: &Fixture) {
    let batches =
        prop::collection::vec(prop::collection::vec(prop::collection::vec(step(), 0..5), 0..30), 1..6);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..8 {
        let plan = batches.new_tree(&mut runner).unwrap().current();
        let mut pens = [Pen::open(fixture).await, Pen::open(fixture).await];
        for pen in &mut pens {
            pen.epoch = fixture.ledger.rules_since(0).await.unwrap().len().try_into().unwrap();
        }
        let repeated = samples::connection();
        for (number, steps) in plan.iter().enumerate() {
            let pen = &mut pens[number % 2];
            let group = |steps: &Vec<Step>| Group {
                entries: steps.iter().map(|s| entry(pen, &repeated, *s)).collect(),
            };
            let batch: Vec<Group> = steps.iter().map(group).collect();
            let done = pen.commit(&batch).await.unwrap();
            for (group, applied) in batch.iter().zip(&done.applied) {
                assert_eq!(group.entries.len(), applied.len(), "{plan:?}");
                let all = applied.iter().all(|a| *a == Applied::Yes);
                assert!(
                    all || applied.iter().all(|a| *a != Applied::Yes),
                    "all or none: {applied:?} of {plan:?}"
                );
            }
        }
        for pen in &pens {
            chained(fixture, pen).await;
        }
    }
    let rules = fixture.ledger.rules_since(0).await.unwrap();
    let epochs: Vec<i64> = rules.into_iter().map(|rule| rule.stored_parts().0.epoch).collect();
    assert!(epochs.iter().zip(1..).all(|(epoch, expected)| *epoch == expected), "{epochs:?}");
}

async fn chained(fixture: &Fixture, pen: &Pen<'_>) {
    let rows = fixture.audit_log.scan(&pen.head.stream, 0, 10_000).await.unwrap();
    let mut previous = [0; 32];
    for (row, seq) in rows.iter().zip(1..) {
        assert_eq!((row.seq, row.previous_hash), (seq, previous));
        assert_eq!(row.hash, sha256(&[&previous, &row.body]));
        previous = row.hash;
    }
    assert_eq!((pen.head.seq, pen.head.hash), (i64::try_from(rows.len()).unwrap(), previous));
    let stored = fixture.ledger.streams().await.unwrap();
    assert!(stored.iter().any(|stream| stream.head == pen.head));
}
