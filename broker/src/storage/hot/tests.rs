use super::{HotLimits, Key, Rows, with_hot_rows};
use crate::{
    domain::{Connection, ManualClock, Owner, SecretKind, Timestamp, Write},
    storage::{
        PoolUse, Pools, Store,
        conformance::{Fixture, pen::Pen, samples},
        sqlite::tests::fixture,
    },
};
use std::{sync::Arc, time::Duration};

const MAX_AGE: Duration = Duration::from_secs(10);

fn store(fixture: &Fixture) -> Store {
    Store {
        connections: fixture.connections.clone(),
        endings: fixture.endings.clone(),
        approvals: fixture.approvals.clone(),
        consents: fixture.consents.clone(),
        parents: fixture.parents.clone(),
        sessions: fixture.sessions.clone(),
        requests: fixture.requests.clone(),
        wrapped_keys: fixture.wrapped_keys.clone(),
        rewraps: fixture.rewraps.clone(),
        ledger: fixture.ledger.clone(),
        audit_log: fixture.audit_log.clone(),
        wakeups: fixture.wakeups.clone(),
        pools: Arc::new(NoPools),
    }
}

struct NoPools;

impl Pools for NoPools {
    fn pools(&self) -> Vec<PoolUse> {
        Vec::new()
    }
}

/// What is kept of alice's only connection: its label, whether it has an approval, its token's generation.
async fn seen(hot: &Store, connection: &Connection) -> (Option<String>, bool, Option<i64>) {
    let owner = Owner::Subject(samples::alice());
    let own = hot.connections.of_owner(&owner, Some(&samples::provider())).await.unwrap();
    let label = own.first().map(|row| row.as_ref().unwrap().row.stored_parts().0.account.label.clone());
    let approval =
        hot.approvals.find(&samples::tenant(), &connection.id, &samples::workload()).await.unwrap();
    let secrets = hot.connections.secrets(&connection.id).await.unwrap();
    (label, approval.is_some(), secrets.first().map(|row| row.as_ref().unwrap().stored_parts().0.generation))
}

#[tokio::test]
async fn own_writes_are_seen_at_once_and_those_of_others_when_the_rows_are_old() {
    let mut fixture = fixture().await;
    let clock = Arc::new(ManualClock::at(samples::NOW));
    let limits = HotLimits { bytes: 1024 * 1024, max_age: MAX_AGE };
    let (own, hot, _) = with_hot_rows(store(&fixture), clock.clone(), limits);
    fixture.ledger = own.ledger.clone();
    let fixture = fixture;
    let mut pen = Pen::open(&fixture).await;
    let connection = samples::connection();
    let labelled = |label: &str, version| {
        let account = crate::domain::Account { label: label.to_owned(), ..connection.account.clone() };
        Connection { account, version, ..connection.clone() }
    };

    // Nothing is not kept: what comes next is seen without anybody being told.
    assert_eq!(seen(&hot, &connection).await, (None, false, None));
    pen.write(vec![Write::InsertConnection(pen.tag(labelled("one", 1)))]).await;
    assert_eq!(seen(&hot, &connection).await, (Some("one".to_owned()), false, None));
    pen.write(vec![
        Write::PutApproval { row: pen.tag(samples::approval(&connection.id)), expected_version: None },
        Write::PutSecret(pen.tag(samples::secret(&connection.id, SecretKind::Access, 1))),
    ])
    .await;
    assert_eq!(seen(&hot, &connection).await, (Some("one".to_owned()), true, Some(1)));

    // Another process writes: what is kept answers until it is old.
    for edit in [
        "UPDATE connections SET account_label = 'theirs'",
        "UPDATE connection_secrets SET generation = 7",
        "DELETE FROM approvals",
    ] {
        assert_eq!(fixture.sql.run(edit).await.unwrap(), 1);
    }
    assert_eq!(seen(&hot, &connection).await, (Some("one".to_owned()), true, Some(1)));
    assert_eq!(seen(&own, &connection).await, (Some("theirs".to_owned()), false, Some(7)), "never kept");
    clock.advance(MAX_AGE);
    assert_eq!(seen(&hot, &connection).await, (Some("theirs".to_owned()), false, Some(7)));

    // Each write forgets what it changed and nothing else.
    let row = pen.tag(labelled("two", 2));
    pen.write(vec![Write::UpdateConnection { row, expected_version: 1 }]).await;
    fixture.sql.run("UPDATE connection_secrets SET generation = 8").await.unwrap();
    assert_eq!(seen(&hot, &connection).await, (Some("two".to_owned()), false, Some(7)));
    pen.write(vec![Write::DeleteAccessTokens(connection.id.clone())]).await;
    assert_eq!(seen(&hot, &connection).await, (Some("two".to_owned()), false, None));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_never_kept() {
    let fixture = fixture().await;
    let clock = Arc::new(ManualClock::at(samples::NOW));
    let (_, hot, _) = with_hot_rows(store(&fixture), clock, HotLimits { bytes: 1024, max_age: MAX_AGE });
    let mut pen = Pen::open(&fixture).await;
    pen.write(vec![Write::InsertConnection(pen.tag(samples::connection()))]).await;
    fixture.sql.run("UPDATE connections SET state = 'fine'").await.unwrap();
    let owner = Owner::Subject(samples::alice());
    let read = async || hot.connections.of_owner(&owner, Some(&samples::provider())).await.unwrap();
    assert!(read().await[0].is_err());
    fixture.sql.run("UPDATE connections SET state = 'active'").await.unwrap();
    assert!(read().await[0].is_ok());
}

#[test]
fn what_was_read_before_a_write_is_not_kept_after_it() {
    let hot = super::Hot {
        clock: Arc::new(ManualClock::at(Timestamp::from_micros(0))),
        max_age: MAX_AGE,
        kept: moka::sync::Cache::new(10),
        writes: std::array::from_fn(|_| Default::default()),
    };
    let key = Key::Secrets(samples::connection().id);
    let rows = Rows::Secrets(Arc::default());
    let before = hot.before(&key);
    hot.keep(key.clone(), rows.clone(), Duration::ZERO, before);
    assert!(hot.get(&key).is_some());
    let before = hot.before(&key);
    hot.forget(&key);
    hot.keep(key.clone(), rows, Duration::ZERO, before);
    assert!(hot.get(&key).is_none());
}
