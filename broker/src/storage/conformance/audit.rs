use super::{
    Fixture,
    pen::{Pen, stream_row},
    samples,
};
use crate::{
    domain::{Entry, Group, Outcome, Position, RuleKind, Target, Write, ledger::Head},
    storage::{AuditFilter, StoreError},
};

fn notes(count: usize) -> Group {
    Group { entries: (0..count).map(|_| samples::note()).collect() }
}

pub(crate) async fn heads(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let stale = pen.head.clone();
    pen.commit(&[notes(2)]).await.unwrap();
    let here = std::mem::replace(&mut pen.head, stale);
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    let refused = pen.commit(&[Group { entries: vec![Entry { effect, ..samples::note() }] }]).await;
    assert!(matches!(refused, Err(StoreError::HeadMoved)), "{refused:?}");
    assert!(fixture.connections.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
    pen.head = Head { hash: [4; 32], ..here.clone() };
    assert!(matches!(pen.commit(&[notes(1)]).await, Err(StoreError::HeadMoved)), "another hash");
    pen.head = here.clone();

    // Without an entry it is a sign of life and no event.
    pen.now = samples::later(30);
    assert_eq!(pen.commit(&[]).await.unwrap().head, here);
    let stored = &fixture.ledger.streams().await.unwrap()[0];
    assert_eq!((&stored.head, stored.open, stored.heartbeat_at), (&here, true, pen.now));

    let ledger = &fixture.ledger;
    assert!(matches!(ledger.open_stream(&stream_row(&here, pen.now)).await, Err(StoreError::Exists)));
    let elsewhere = Head { seq: 1, ..here.clone() };
    assert!(!ledger.close_stream(&elsewhere, &[8; 32]).await.unwrap(), "it moved");
    assert!(ledger.close_stream(&here, &[8; 32]).await.unwrap());
    assert!(!ledger.close_stream(&here, &[8; 32]).await.unwrap(), "closed already");
    assert!(matches!(pen.commit(&[notes(1)]).await, Err(StoreError::HeadMoved)), "a closed stream");
    assert!(matches!(pen.commit(&[]).await, Err(StoreError::HeadMoved)), "nor does it live");
    let next = Pen::open(fixture).await;
    let streams = ledger.streams().await.unwrap();
    assert_eq!(streams.len(), 2);
    assert!(streams.iter().any(|s| s.head == next.head && s.open));
    assert!(streams.iter().any(|s| s.head == here && !s.open && s.mac == [8; 32]));
}

/// An id written twice is its group's own fault, and no sign of a store that is down.
pub(crate) async fn written_once(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let note = samples::note();
    pen.entry(note.clone()).await;
    let here = pen.head.clone();
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    let again = Entry { effect, ..note };
    let refused = pen.commit(&[Group { entries: vec![samples::note(), again] }]).await;
    assert!(matches!(refused, Err(StoreError::Exists)), "{refused:?}");
    let new = samples::note();
    let refused = pen.commit(&[Group { entries: vec![new.clone()] }, Group { entries: vec![new] }]).await;
    assert!(matches!(refused, Err(StoreError::Exists)), "twice at once: {refused:?}");
    assert!(fixture.connections.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
    assert_eq!(fixture.ledger.streams().await.unwrap()[0].head, here, "nothing stays of either");
    pen.commit(&[notes(1)]).await.unwrap();
}

pub(crate) async fn insert_only(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    pen.commit(&[notes(2)]).await.unwrap();
    pen.write(vec![Write::AddRule { kind: RuleKind::Block, target: Target::Tenant(samples::tenant()) }])
        .await;
    let refused = [
        "UPDATE audit_events SET outcome = 'denied'",
        "UPDATE audit_events SET seq = seq + 10",
        "DELETE FROM audit_events WHERE seq = 3",
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = 1",
        "UPDATE revocations SET kind = 'lift'",
        "DELETE FROM revocations",
        "INSERT OR REPLACE INTO revocations SELECT * FROM revocations",
        "INSERT INTO revocations SELECT epoch + 2, kind, target_kind, target_name, '', '', at, mac FROM revocations",
        "UPDATE audit_streams SET seq = seq - 1",
        "UPDATE audit_streams SET hash = zeroblob(32)",
        "UPDATE audit_streams SET stream = 'str_other'",
        "DELETE FROM audit_streams",
        "INSERT OR REPLACE INTO audit_streams SELECT * FROM audit_streams",
    ];
    let filter = AuditFilter::default();
    let before = fixture.audit_log.list(&filter, None, 10).await.unwrap();
    for statement in refused {
        let error = fixture.sql.run(statement).await.expect_err(statement);
        let told = ["insert-only", "next one", "moves forward", "never removed", "exists"];
        assert!(told.iter().any(|words| error.contains(words)), "{statement}: {error}");
    }
    assert_eq!(fixture.audit_log.list(&filter, None, 10).await.unwrap(), before);
    assert_eq!(before.len(), 3);
    fixture.sql.run("UPDATE audit_streams SET open = 0").await.unwrap();
    fixture.sql.run("UPDATE audit_streams SET open = 1").await.expect_err("a closed stream stays closed");
}

pub(crate) async fn reading(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    // 85 = 64 + 16 + 4 + 1: every size of insert once.
    let mut group = notes(85);
    for entry in group.entries.iter_mut().step_by(2) {
        entry.draft.workload = Some(samples::workload());
        entry.draft.provider = Some(samples::provider());
        entry.draft.tenant = Some(samples::tenant());
        entry.draft.outcome = Outcome::Denied;
    }
    let ids: Vec<_> = group.entries.iter().map(|entry| entry.draft.id.clone()).collect();
    pen.commit(&[group]).await.unwrap();
    let log = &fixture.audit_log;
    let all = log.scan(&pen.head.stream, 0, 1000).await.unwrap();
    assert_eq!(all.iter().map(|row| row.columns.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(all.last().unwrap().hash, pen.head.hash);
    assert_eq!(log.scan(&pen.head.stream, 80, 3).await.unwrap(), all[80..83]);
    assert_eq!(log.by_id(&ids[7]).await.unwrap().as_ref(), Some(&all[7]));

    let mut paged = Vec::new();
    let filter = AuditFilter { workload: Some("notes-tools".to_owned()), ..AuditFilter::default() };
    loop {
        let after = paged
            .last()
            .map(|row: &crate::storage::AuditRow| Position { stream: row.stream.clone(), seq: row.seq });
        let page = log.list(&filter, after.as_ref(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all.iter().step_by(2).cloned().collect::<Vec<_>>());
    let some = |text: &str| Some(text.to_owned());
    let time = |micros| crate::domain::Timestamp::from_micros(samples::NOW.micros() + micros);
    for (filter, expected) in [
        (AuditFilter { from: Some(time(11)), until: Some(time(14)), ..AuditFilter::default() }, 3),
        (AuditFilter { tenant: some("acme"), ..AuditFilter::default() }, 43),
        (AuditFilter { provider: some("notes"), outcome: some("denied"), ..AuditFilter::default() }, 43),
        (AuditFilter { provider: some("notes"), outcome: some("allowed"), ..AuditFilter::default() }, 0),
        (AuditFilter { subject: some("nobody"), ..AuditFilter::default() }, 0),
    ] {
        assert_eq!(log.list(&filter, None, 1000).await.unwrap().len(), expected, "{filter:?}");
    }
}
