use super::{Fixture, pen::Pen, samples};
use crate::domain::{
    Applied, Connection, ConnectionId, EventKind, RefreshState, SecretKind, SecretRow, Timestamp, Write,
    ledger::{SettleLease, TakeLease},
};
use crate::storage::{Ending, Over};
use std::time::Duration;

async fn connected(pen: &mut Pen<'_>) -> ConnectionId {
    let connection = samples::connection();
    let id = connection.id.clone();
    let row = pen.tag(connection);
    assert_eq!(pen.write(vec![Write::InsertConnection(row)]).await, Applied::Yes);
    id
}

fn take(id: &ConnectionId, owner: &str, expected_epoch: i64, seconds: u64, sends: i64) -> Vec<Write> {
    let (connection, owner) = (id.clone(), owner.to_owned());
    let holds = Duration::from_secs(seconds);
    vec![Write::TakeLease(TakeLease { connection, owner, expected_epoch, holds, sends })]
}

fn settle(id: &ConnectionId, owner: &str, epoch: i64, last_error: &str) -> SettleLease {
    SettleLease {
        connection: id.clone(),
        owner: owner.to_owned(),
        epoch,
        rest: Some(Duration::from_secs(5)),
        last_error: last_error.to_owned(),
        while_stored: None,
    }
}

fn supersede(id: &ConnectionId, owner: &str, expected_epoch: i64) -> Vec<Write> {
    let (connection, owner) = (id.clone(), owner.to_owned());
    vec![Write::SupersedeLease { connection, owner, expected_epoch }]
}

async fn state(fixture: &Fixture, id: &ConnectionId) -> RefreshState {
    fixture.connections.by_id(&samples::tenant(), id).await.unwrap().unwrap().refresh
}

pub(crate) async fn lease(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let id = connected(&mut pen).await;
    let state = || state(fixture, &id);
    let give_back =
        |owner: &str, epoch, error: &str| vec![Write::SettleLease(settle(&id, owner, epoch, error))];
    assert_eq!(pen.write(take(&id, "a", 1, 30, 1)).await, Applied::NotApplied(0), "another epoch");
    assert_eq!(pen.write(take(&id, "a", 0, 30, 1)).await, Applied::Yes);
    assert_eq!((state().await.lease_owner.as_str(), state().await.lease_epoch), ("a", 1));
    assert_eq!(state().await.lease_until, Some(samples::later(30)));
    assert_eq!(pen.write(take(&id, "b", 1, 30, 1)).await, Applied::NotApplied(0), "it is held");
    pen.now = samples::later(30);
    assert_eq!(pen.write(take(&id, "b", 1, 30, 1)).await, Applied::Yes, "it ran out");
    assert_eq!(
        pen.write(give_back("a", 1, "")).await,
        Applied::NotApplied(0),
        "the fenced one comes too late"
    );
    assert_eq!(pen.write(give_back("a", 2, "")).await, Applied::NotApplied(0), "it is another's");
    assert_eq!(pen.write(give_back("b", 2, "PROVIDER_UNAVAILABLE")).await, Applied::Yes);
    let settled = state().await;
    assert_eq!((settled.lease_owner.as_str(), settled.lease_epoch, settled.lease_until), ("", 2, None));
    assert_eq!(settled.cooldown_until, Some(samples::later(35)));
    assert_eq!(settled.last_error, "PROVIDER_UNAVAILABLE");
    assert_eq!(pen.write(take(&id, "a", 2, 60, 1)).await, Applied::Yes);
}

pub(crate) async fn attempts(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let id = connected(&mut pen).await;
    let attempt = async || {
        let state = state(fixture, &id).await;
        (state.attempt_generation, state.attempts)
    };
    assert_eq!(attempt().await, (None, 0));
    assert_eq!(pen.write(take(&id, "a", 0, 30, 7)).await, Applied::Yes);
    assert_eq!(attempt().await, (Some(7), 1));
    pen.now = samples::later(30);
    assert_eq!(pen.write(take(&id, "b", 1, 30, 7)).await, Applied::Yes);
    assert_eq!(attempt().await, (Some(7), 2), "its holder died, and it may be on its way");
    pen.now = samples::later(60);
    assert_eq!(pen.write(take(&id, "c", 2, 30, 8)).await, Applied::Yes);
    assert_eq!(attempt().await, (Some(8), 1), "another token");
    assert_eq!(pen.write(vec![Write::SettleLease(settle(&id, "c", 3, ""))]).await, Applied::Yes);
    assert_eq!(attempt().await, (None, 0), "its holder says how it ended");

    // Only while the token that was sent is the one stored.
    let put = |pen: &Pen<'_>, generation| {
        vec![Write::PutSecret(pen.tag(samples::secret(&id, SecretKind::Refresh, generation)))]
    };
    assert_eq!(pen.write(put(&pen, 3)).await, Applied::Yes);
    pen.now = samples::later(90);
    assert_eq!(pen.write(take(&id, "d", 3, 30, 3)).await, Applied::Yes);
    let guarded =
        |while_stored| vec![Write::SettleLease(SettleLease { while_stored, ..settle(&id, "d", 4, "") })];
    assert_eq!(pen.write(guarded(Some(2))).await, Applied::NotApplied(0));
    assert_eq!(pen.write(guarded(Some(3))).await, Applied::Yes);
}

pub(crate) async fn superseded(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let id = connected(&mut pen).await;
    assert_eq!(pen.write(take(&id, "a", 0, 30, 1)).await, Applied::Yes);
    assert_eq!(pen.write(supersede(&id, "b", 1)).await, Applied::NotApplied(0), "somebody is at it");
    assert_eq!(pen.write(supersede(&id, "a", 0)).await, Applied::NotApplied(0), "another epoch");
    assert_eq!(pen.write(supersede(&id, "a", 1)).await, Applied::Yes, "its own");
    let ended = state(fixture, &id).await;
    assert_eq!((ended.lease_owner.as_str(), ended.lease_epoch, ended.lease_until), ("", 2, None));
    assert_eq!((ended.attempt_generation, ended.attempts, ended.cooldown_until), (None, 0, None));
    assert_eq!(pen.write(vec![Write::SettleLease(settle(&id, "a", 1, ""))]).await, Applied::NotApplied(0));
    assert_eq!(pen.write(take(&id, "b", 2, 30, 1)).await, Applied::Yes);
    pen.now = samples::later(30);
    assert_eq!(pen.write(supersede(&id, "a", 3)).await, Applied::Yes, "nobody holds it any more");
}

pub(crate) async fn ending(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (soon, late, unused) =
        (connected(&mut pen).await, connected(&mut pen).await, connected(&mut pen).await);
    let put = |pen: &Pen<'_>, id: &ConnectionId, kind, ends| {
        let row = SecretRow { expires_at: Some(samples::later(ends)), ..samples::secret(id, kind, 1) };
        vec![Write::PutSecret(pen.tag(row))]
    };
    for (id, ends) in [(&soon, 100), (&late, 5_000), (&unused, 100)] {
        assert_eq!(pen.write(put(&pen, id, SecretKind::Access, ends)).await, Applied::Yes);
    }
    for id in [&soon, &late] {
        let mut used = crate::domain::Entry::note(samples::draft(EventKind::GrantIssue));
        used.draft.connection = Some(id.clone());
        pen.entry(used).await;
    }
    let provider = samples::provider();
    let find = async |from: u64, until: u64, refresh_until: u64| {
        let which = Ending {
            provider: &provider,
            used_since: samples::NOW.minus(Duration::from_secs(60)),
            access_from: samples::later(from),
            access_until: samples::later(until),
            refresh_until: samples::later(refresh_until),
            now: samples::NOW,
            limit: 10,
        };
        let found = fixture.endings.ending(&which).await.unwrap();
        found.into_iter().map(|row| row.unwrap().connection).collect::<Vec<_>>()
    };
    assert_eq!(find(0, 300, 0).await, std::slice::from_ref(&soon), "in use, and ending");
    assert_eq!(find(100, 300, 0).await, Vec::<ConnectionId>::new(), "it is over");
    assert_eq!(find(0, 9_000, 0).await, [soon.clone(), late.clone()], "soonest first");
    assert_eq!(pen.write(put(&pen, &late, SecretKind::Refresh, 200)).await, Applied::Yes);
    assert_eq!(find(0, 50, 300).await, std::slice::from_ref(&late), "its refresh token");
    let over = async |absolute: u64, idle: u64| {
        let (absolute_until, idle_until) = (samples::later(absolute), samples::later(idle));
        let which = Over { provider: &provider, now: samples::NOW, absolute_until, idle_until };
        fixture.endings.count_over(&which).await.unwrap()
    };
    assert_eq!((over(0, 199).await, over(0, 200).await), (0, 1), "for want of use");
    let limited = Connection { expires_at: Some(samples::later(500)), ..samples::connection() };
    assert_eq!(pen.write(vec![Write::InsertConnection(pen.tag(limited))]).await, Applied::Yes);
    assert_eq!((over(499, 0).await, over(500, 0).await), (0, 1), "for good");
    assert_eq!(over(500, 200).await, 2);
    assert_eq!(pen.write(take(&soon, "a", 0, 30, 1)).await, Applied::Yes);
    assert!(find(0, 300, 0).await.is_empty(), "somebody is at it");
    let state: Timestamp = state(fixture, &soon).await.lease_until.unwrap();
    assert_eq!(state, samples::later(30));
}
