use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, ConnectionId, Entry, Group, Owner, Rule, RuleKind, Target, Write};

pub(crate) async fn atomic(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (kept, lost) = (samples::connection(), samples::connection());
    let missing = ConnectionId::random(&samples::rng());
    let fails = Write::SettleLease(crate::domain::ledger::SettleLease {
        connection: missing,
        owner: String::new(),
        epoch: 1,
        rest: None,
        last_error: String::new(),
        while_stored: None,
    });
    let block = Write::AddRule { kind: RuleKind::Block, target: Target::Connection(lost.id.clone()) };
    let insert = |pen: &Pen<'_>, connection: &_| Write::InsertConnection(pen.tag(Clone::clone(connection)));
    let failing = Group {
        entries: vec![
            Entry {
                effect: vec![insert(&pen, &lost), block],
                claim: Some(samples::claim(1)),
                ..samples::note()
            },
            Entry { effect: vec![Write::DeleteSecrets(lost.id.clone()), fails.clone()], ..samples::note() },
            samples::note(),
        ],
    };
    let holding = Group { entries: vec![Entry { effect: vec![insert(&pen, &kept)], ..samples::note() }] };
    let done = pen.commit(&[failing, holding, Group { entries: vec![] }]).await.unwrap();
    let failed = vec![Applied::GroupFailed, Applied::NotApplied(1), Applied::GroupFailed];
    assert_eq!(done.applied, [failed, vec![Applied::Yes], vec![]]);
    let numbers: Vec<Vec<i64>> = done.positions.iter().map(|g| g.iter().map(|p| p.seq).collect()).collect();
    assert_eq!(numbers, [vec![1, 2, 3], vec![4], vec![]], "one row per entry, whatever became of it");

    let owner = Owner::Subject(samples::alice());
    let stored = fixture.connections.of_owner(&owner, None).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].as_ref().unwrap().row.clone().check(&pen.seal.key).unwrap().id, kept.id);
    assert!(fixture.requests.by_key(&[1; 32], pen.now).await.unwrap().is_none(), "its claim went with it");
    let no_rules: Vec<Rule> = Vec::new();
    assert_eq!(done.new_rules, no_rules, "and its rule");
    assert!(fixture.ledger.rules_since(0).await.unwrap().is_empty());

    // The epoch that was given back is given again: epochs stay contiguous.
    let block = Write::AddRule { kind: RuleKind::Block, target: Target::Tenant(samples::tenant()) };
    assert_eq!(pen.write(vec![block]).await, Applied::Yes);
    assert_eq!(pen.epoch, 1);
}
