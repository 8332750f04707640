use super::{Fixture, pen::Pen, samples};
use crate::{
    domain::{Applied, Entry, Group, Names, Rule, RuleKind, Target, Write},
    storage::StoreError,
};

fn add(kind: RuleKind) -> Entry {
    let effect = vec![Write::AddRule { kind, target: Target::Workload(samples::workload()) }];
    Entry { effect, ..samples::note() }
}

/// Relies on the workload, as read at `epoch`, and inserts a connection.
fn relying(pen: &Pen<'_>, epoch: i64) -> Entry {
    let names = Names { workload: Some(samples::workload()), ..Names::default() };
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    Entry { names, epoch, effect, ..samples::note() }
}

fn alone(entry: Entry) -> Group {
    Group { entries: vec![entry] }
}

pub(crate) async fn newer_and_older(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    assert_eq!(pen.entry(relying(&pen, 0)).await, Applied::Yes);
    assert_eq!(pen.entry(add(RuleKind::Revoke)).await, Applied::Yes);
    assert_eq!(pen.epoch, 1);
    let expected =
        Rule { epoch: 1, kind: RuleKind::Revoke, target: Target::Workload(samples::workload()), at: pen.now };
    assert_eq!(
        pen.entry(relying(&pen, 0)).await,
        Applied::Hit(expected.clone()),
        "known to the writer, not to it"
    );
    assert_eq!(pen.entry(relying(&pen, 1)).await, Applied::Yes);
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes, "relies on nothing");

    // Another writer, which has not heard of it, learns it from its commit.
    let mut other = Pen::open(fixture).await;
    let batch = [Group { entries: vec![samples::note(), relying(&other, 0)] }, alone(samples::note())];
    let done = other.commit(&batch).await.unwrap();
    let hit = vec![Applied::GroupFailed, Applied::Hit(expected.clone())];
    assert_eq!(done.applied, [hit, vec![Applied::Yes]]);
    assert_eq!(done.new_rules, [expected]);
    assert_eq!(other.commit(&[alone(samples::note())]).await.unwrap().new_rules, []);

    assert_eq!(pen.entry(add(RuleKind::Lift)).await, Applied::Yes);
    assert_eq!(pen.entry(relying(&pen, 1)).await, Applied::Yes, "a lift takes nothing away");
    let stored = fixture.connections.page(&samples::tenant(), None, 100).await.unwrap();
    assert_eq!(stored.len(), 3, "what was hit changed nothing");
    assert_eq!(fixture.ledger.rules_since(1).await.unwrap().len(), 1);
}

pub(crate) async fn same_batch(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let batch = [
        alone(relying(&pen, 0)),
        alone(add(RuleKind::Block)),
        alone(relying(&pen, 0)),
        alone(relying(&pen, 1)),
    ];
    let done = pen.commit(&batch).await.unwrap();
    assert_eq!(done.applied[0], [Applied::Yes], "before it");
    assert!(matches!(&done.applied[2][0], Applied::Hit(rule) if rule.epoch == 1), "after it");
    assert_eq!(done.applied[3], [Applied::Yes], "read at its epoch");
    assert_eq!(done.new_rules.len(), 1);
}

pub(crate) async fn settlement(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    pen.entry(add(RuleKind::Block)).await;
    let settled = Entry { settlement: true, ..relying(&pen, 0) };
    assert_eq!(pen.entry(settled).await, Applied::Yes);
}

pub(crate) async fn edited(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    pen.entry(add(RuleKind::Block)).await;
    let sql = &fixture.sql;
    sql.run("DROP TRIGGER revocations_no_update").await.unwrap();
    sql.run("UPDATE revocations SET target_name = 'other-tools'").await.unwrap();
    let mut late = Pen::open(fixture).await;
    let refused = late.commit(&[alone(relying(&late, 0))]).await;
    assert!(matches!(refused, Err(StoreError::RuleTampered)), "{refused:?}");
    let stored = fixture.connections.page(&samples::tenant(), None, 100).await.unwrap();
    assert!(stored.is_empty(), "nothing of the batch stays");
}

pub(crate) async fn removed(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    for kind in [RuleKind::Block, RuleKind::Revoke, RuleKind::Revoke] {
        pen.entry(add(kind)).await;
    }
    let sql = &fixture.sql;
    sql.run("DROP TRIGGER revocations_no_delete").await.unwrap();
    sql.run("DELETE FROM revocations WHERE epoch = 3").await.unwrap();
    let cut = pen.commit(&[alone(relying(&pen, 3))]).await;
    assert!(matches!(cut, Err(StoreError::RuleTampered)), "cut at the end: {cut:?}");
    let old = pen.commit(&[alone(relying(&pen, 1))]).await;
    assert!(matches!(old, Err(StoreError::RuleTampered)), "also for what was decided long before: {old:?}");
    sql.run("DELETE FROM revocations WHERE epoch = 1").await.unwrap();
    let mut late = Pen::open(fixture).await;
    let gap = late.commit(&[alone(relying(&late, 0))]).await;
    assert!(matches!(gap, Err(StoreError::RuleTampered)), "a gap at the start: {gap:?}");
    assert!(matches!(fixture.ledger.rules_since(0).await, Err(StoreError::RuleTampered)));
    assert_eq!(fixture.ledger.rules_since(2).await.unwrap().len(), 0);
    assert!(matches!(fixture.ledger.rules_since(3).await, Err(StoreError::RuleTampered)));
}
