use super::{Fixture, pen::Pen, samples};
use crate::domain::{
    Applied, Connection, ConnectionState, Entry, EventKind, Owner, ProviderId, TenantId, Timestamp, Write,
};
use std::time::Duration;

fn update(pen: &Pen<'_>, connection: &Connection, expected_version: i64) -> Vec<Write> {
    vec![Write::UpdateConnection { row: pen.tag(connection.clone()), expected_version }]
}

fn insert(pen: &Pen<'_>, connection: &Connection) -> Vec<Write> {
    vec![Write::InsertConnection(pen.tag(connection.clone()))]
}

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = Connection { expires_at: Some(samples::later(9)), ..samples::connection() };
    assert_eq!(pen.write(insert(&pen, &connection)).await, Applied::Yes);
    assert_eq!(pen.write(insert(&pen, &connection)).await, Applied::NotApplied(0));
    let same_account = Connection { account: connection.account.clone(), ..samples::connection() };
    assert_eq!(pen.write(insert(&pen, &same_account)).await, Applied::NotApplied(0));

    let revoked = Connection { state: ConnectionState::Revoked, version: 2, ..connection.clone() };
    assert_eq!(pen.write(update(&pen, &revoked, 2)).await, Applied::NotApplied(0));
    let moved = Connection { owner: Owner::Subject(samples::person("bob")), ..revoked.clone() };
    assert_eq!(
        pen.write(update(&pen, &moved, 1)).await,
        Applied::NotApplied(0),
        "a connection stays its owner's"
    );
    assert_eq!(pen.write(update(&pen, &revoked, 1)).await, Applied::Yes);
    assert_eq!(pen.write(insert(&pen, &same_account)).await, Applied::Yes, "made anew after a revoke");
    let revived = Connection { state: ConnectionState::Active, version: 3, ..connection.clone() };
    assert_eq!(pen.write(update(&pen, &revived, 2)).await, Applied::NotApplied(0), "the account is taken");

    let stored = fixture.connections.by_id(&samples::tenant(), &connection.id).await.unwrap().unwrap();
    assert_eq!(stored.row.check(&pen.seal.key).unwrap(), revoked);
    assert_eq!(stored.last_used_at, None);
}

pub(crate) async fn isolation(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let elsewhere = TenantId::parse("globex").unwrap();
    let mine = samples::connection();
    let newer = Connection { created_at: samples::later(5), ..samples::connection() };
    let bobs = Connection { owner: Owner::Subject(samples::person("bob")), ..samples::connection() };
    let shared = Connection { owner: Owner::Tenant(samples::tenant()), ..samples::connection() };
    let foreign = Connection { owner: Owner::Tenant(elsewhere.clone()), ..samples::connection() };
    for connection in [&mine, &newer, &bobs, &shared, &foreign] {
        assert_eq!(pen.write(insert(&pen, connection)).await, Applied::Yes);
    }
    let (reads, tenant) = (&fixture.connections, samples::tenant());
    let owner = Owner::Subject(samples::alice());
    let found = reads.of_owner(&owner, Some(&samples::provider())).await.unwrap();
    let ids: Vec<_> = found.into_iter().map(|c| c.unwrap().row.check(&pen.seal.key).unwrap().id).collect();
    assert_eq!(ids, [newer.id.clone(), mine.id.clone()], "newest first");
    let other = ProviderId::parse("mail").unwrap();
    assert!(reads.of_owner(&owner, Some(&other)).await.unwrap().is_empty());
    assert_eq!(reads.of_owner(&Owner::Tenant(tenant.clone()), None).await.unwrap().len(), 1);
    assert!(reads.by_id(&elsewhere, &mine.id).await.unwrap().is_none());
    assert!(reads.by_id(&tenant, &foreign.id).await.unwrap().is_none());

    let mut listed = Vec::new();
    while let page @ [_, ..] = &reads.page(&tenant, listed.last(), 3).await.unwrap()[..] {
        listed.extend(page.iter().map(|c| c.clone().unwrap().row.check(&pen.seal.key).unwrap().id));
    }
    let mut expected = vec![mine.id, newer.id, bobs.id, shared.id];
    expected.sort();
    assert_eq!(listed, expected);
}

pub(crate) async fn last_used(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = samples::connection();
    pen.write(insert(&pen, &connection)).await;
    let issue = |kind| {
        let mut entry = Entry::note(samples::draft(kind));
        entry.draft.connection = Some(connection.id.clone());
        entry
    };
    let used = || async {
        fixture.connections.by_id(&samples::tenant(), &connection.id).await.unwrap().unwrap().last_used_at
    };
    pen.entry(issue(EventKind::RefreshIntent)).await;
    assert_eq!(used().await, None);
    let first = pen.now;
    for (after, expected) in [(0, 0), (59, 0), (60, 60), (61, 60)] {
        pen.now = first.plus(Duration::from_secs(after));
        pen.entry(issue(EventKind::GrantIssue)).await;
        let expected: Option<Timestamp> = Some(first.plus(Duration::from_secs(expected)));
        assert_eq!(used().await, expected, "after {after} s");
    }
}
