//! Every single change to what is stored is found.

use crate::{
    audit::{
        Deadline, Fault, VerifyError,
        chain::{StreamState, empty_head, event_hash, head_mac},
        testing::{House, MemoryLedger},
    },
    domain::{
        EventId, EventKind, Outcome, RealmId, Reason, StreamId, Subject, TenantId, Timestamp, WorkloadId,
    },
    storage::AuditRow,
};

/// Two ended streams, one dead and one clean, and an open one; every column of the middle event is filled.
async fn house() -> House {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    for _ in 0..3 {
        let mut entry = house.event(EventKind::CallDenied, Outcome::Denied);
        entry.draft = entry.draft.about(&Subject {
            tenant: TenantId::parse("acme").unwrap(),
            realm: RealmId::parse("staff").unwrap(),
            id: "alice".into(),
        });
        entry.draft.workload = Some(WorkloadId::parse("notes-mcp").unwrap());
        entry.draft.provider = Some(crate::domain::ProviderId::parse("notes").unwrap());
        entry.draft.reason = Some(Reason::PolicyDenied);
        audit.note(entry, Deadline::none()).await.unwrap();
    }
    drop(audit);
    let audit = house.start().await.unwrap();
    audit.note(house.session(), Deadline::none()).await.unwrap();
    audit.close(Deadline::none()).await.unwrap();
    house.start().await.unwrap();
    let verified = house.verify().await.unwrap();
    assert_eq!((verified.streams, verified.events), (3, 9));
    house
}

type Change = (&'static str, fn(&mut AuditRow));

const CHANGES: [Change; 16] = [
    ("stream", |r| {
        r.stream = StreamId::opened_at(Timestamp::from_micros(5), &crate::domain::SystemRng::default())
    }),
    ("seq", |r| r.seq += 1),
    ("previous hash", |r| r.previous_hash[7] ^= 1),
    ("hash", |r| r.hash[0] ^= 0x80),
    ("mac key", |r| r.mac_key.push('x')),
    ("mac", |r| r.mac[31] ^= 1),
    ("body", |r| *r.body.last_mut().unwrap() ^= 1),
    ("id", |r| r.columns.id = EventId::random(&crate::domain::SystemRng::default())),
    ("time", |r| r.columns.time = Timestamp::from_micros(r.columns.time.micros() + 1)),
    ("tenant", |r| r.columns.tenant.push('x')),
    ("subject", |r| r.columns.subject.push('x')),
    ("workload", |r| r.columns.workload.push('x')),
    ("provider", |r| r.columns.provider.push('x')),
    ("kind", |r| r.columns.kind.push('x')),
    ("outcome", |r| r.columns.outcome.push('x')),
    ("reason", |r| r.columns.reason.push('x')),
];

async fn fault(house: &House) -> Option<Fault> {
    match house.verify().await {
        Ok(_) => None,
        Err(VerifyError::Bad(bad)) => Some(bad.fault),
        Err(VerifyError::Store(error)) => panic!("{error}"),
    }
}

/// Applies a change to the ledger, expects it to be found, and undoes it.
async fn found(house: &House, what: &str, change: impl FnOnce(&MemoryLedger)) -> Fault {
    let (rows, streams) = {
        let stored = house.ledger.stored();
        (stored.rows.clone(), stored.streams.clone())
    };
    change(&house.ledger);
    let fault = fault(house).await;
    let mut stored = house.ledger.stored();
    (stored.rows, stored.streams) = (rows, streams);
    fault.unwrap_or_else(|| panic!("{what} was not found"))
}

/// Proves: AU7, AU8
#[tokio::test]
async fn au7_every_changed_column_of_every_row_is_found() {
    let house = house().await;
    let rows = house.ledger.stored().rows.len();
    for at in 0..rows {
        for (field, change) in CHANGES {
            found(&house, &format!("{field} of row {at}"), |l| change(&mut l.stored().rows[at])).await;
        }
    }
    assert_eq!(fault(&house).await, None);
}

/// Proves: AU7
#[tokio::test]
async fn au7_every_changed_byte_of_a_body_is_found() {
    let house = house().await;
    let length = house.ledger.stored().rows[2].body.len();
    for byte in 0..length {
        let fault = found(&house, "a byte", |l| l.stored().rows[2].body[byte] ^= 1).await;
        assert_eq!(fault, Fault::Hash);
    }
}

/// Proves: AU7
#[tokio::test]
async fn au7_a_body_edited_with_its_hash_and_its_successors_still_lacks_the_mac() {
    let house = house().await;
    let fault = found(&house, "a recomputed chain", |ledger| {
        let mut stored = ledger.stored();
        let text = String::from_utf8(stored.rows[1].body.clone()).unwrap().replace("denied", "failed");
        stored.rows[1].body = text.into_bytes();
        stored.rows[1].columns.outcome = "failed".into();
        let mut previous = stored.rows[0].hash;
        for row in &mut stored.rows[1..4] {
            row.previous_hash = previous;
            row.hash = event_hash(&previous, &row.body);
            previous = row.hash;
        }
    })
    .await;
    assert_eq!(fault, Fault::Mac);
}

/// Proves: AU7
#[tokio::test]
async fn au7_deleted_inserted_reordered_and_cut_off_rows_are_found() {
    let house = house().await;
    let rows = house.ledger.stored().rows.len();
    for at in 0..rows {
        found(&house, "a deleted row", |l| drop(l.stored().rows.remove(at))).await;
    }
    let inserted = found(&house, "an inserted row", |l| {
        let mut stored = l.stored();
        let mut copy = stored.rows[1].clone();
        copy.seq = 5;
        stored.rows.push(copy);
    });
    assert_eq!(inserted.await, Fault::Previous);
    let doubled = found(&house, "a doubled row", |l| {
        let mut stored = l.stored();
        let copy = stored.rows[1].clone();
        stored.rows.push(copy);
    });
    assert_eq!(doubled.await, Fault::Gap);
    let swapped = found(&house, "two swapped rows", |l| {
        let mut stored = l.stored();
        let (a, b) = (stored.rows[1].seq, stored.rows[2].seq);
        stored.rows[1].seq = b;
        stored.rows[2].seq = a;
    });
    assert_eq!(swapped.await, Fault::Previous);
    let cut = found(&house, "a cut-off end", |l| {
        let mut stored = l.stored();
        stored.rows.remove(3);
    });
    assert_eq!(cut.await, Fault::End);
}

/// Proves: AU7, AU8
#[tokio::test]
async fn au7_changed_and_removed_streams_are_found() {
    let house = house().await;
    let keys = house.keys.audit_keys();
    for at in 0..3 {
        let head = |what, change: fn(&mut crate::storage::StreamRow)| {
            found(&house, what, move |l| change(&mut l.stored().streams[at]))
        };
        assert_eq!(head("seq", |s| s.head.seq -= 1).await, Fault::Head);
        assert_eq!(head("hash", |s| s.head.hash[0] ^= 1).await, Fault::Head);
        assert_eq!(head("mac", |s| s.mac[0] ^= 1).await, Fault::Head);
        assert_eq!(head("key", |s| s.mac.push(b'x')).await, Fault::Head);
        assert_eq!(head("open", |s| s.open = !s.open).await, Fault::Head);
    }
    let removed = found(&house, "a removed stream", |l| {
        let mut stored = l.stored();
        let gone = stored.streams.remove(1).head.stream;
        stored.rows.retain(|r| r.stream != gone);
    });
    assert_eq!(removed.await, Fault::Predecessor);
    // Whoever holds the MAC key could sign states; that the events do not bear them out is still found.
    let mac_for = |at: usize, state| {
        let stored = house.ledger.stored();
        head_mac(&keys, &stored.streams[at].head, state)
    };
    let (closed, recovered) = (mac_for(0, StreamState::Closed), mac_for(1, StreamState::Recovered));
    let first = found(&house, "a dead stream called closed", |l| l.stored().streams[0].mac = closed);
    assert_eq!(first.await, Fault::Closing);
    let second = found(&house, "a closed stream called dead", |l| l.stored().streams[1].mac = recovered);
    assert_eq!(second.await, Fault::Recovery);
    let emptied = found(&house, "an emptied stream", |l| {
        let mut stored = l.stored();
        let gone = stored.streams[2].head.stream.clone();
        stored.rows.retain(|r| r.stream != gone);
        let empty = empty_head(gone);
        stored.streams[2].mac = head_mac(&keys, &stored.streams[2].head, StreamState::Open);
        stored.streams[2].head = empty;
    });
    assert_eq!(emptied.await, Fault::Head);
}
