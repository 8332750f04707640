use super::open_fixture;
use crate::{
    domain::{Applied, Entry, Group, Rule, Tagged, Write, ledger::Head},
    storage::{
        AuditRow, Connections, Ledger, LockMode, Seal, SqliteStore, StoreError,
        conformance::{pen::Pen, samples, seal::PlainSeal},
    },
};

/// Proves: AU3
#[tokio::test]
async fn au3_a_full_disk_is_unavailable_and_nothing_is_applied_in_part() {
    let (fixture, store) = open_fixture().await;
    let mut pen = Pen::open(&fixture).await;
    let known = samples::connection();
    assert_eq!(pen.write(vec![Write::InsertConnection(pen.tag(known))]).await, Applied::Yes);
    // SQLite's own way to make the disk full: no more pages than there are.
    set(&store, "PRAGMA max_page_count = 1").await;
    let before = pen.head.clone();
    let mut failed = None;
    for _ in 0..50 {
        let entries = (0..8)
            .map(|_| {
                let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
                Entry { effect, ..samples::note() }
            })
            .collect();
        match pen.commit(&[Group { entries }]).await {
            Ok(_) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let error = failed.expect("the pages run out");
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("full")), "{error}");
    assert!(pen.head.seq < before.seq + 400);
    let stored = store.page(&samples::tenant(), None, 1000).await.unwrap();
    // Each row belongs to one connection: an effect without its row, or a row without its effect, would show.
    assert_eq!(i64::try_from(stored.len()).unwrap(), pen.head.seq);
    set(&store, "PRAGMA max_page_count = 100000").await;
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes, "it goes on when there is room again");
}

async fn set(store: &SqliteStore, pragma: &'static str) {
    let mut held = store.writer.hold().await.unwrap();
    sqlx::query(pragma).execute(held.connection().unwrap()).await.unwrap();
}

/// A locked or read-only database is unavailable: nothing is applied, and the error names no value.
#[tokio::test]
async fn a_locked_or_read_only_database_is_unavailable() {
    let (fixture, store) = open_fixture().await;
    let mut pen = Pen::open(&fixture).await;
    let insert = |pen: &Pen<'_>| {
        let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
        [Group { entries: vec![Entry { effect, ..samples::note() }] }]
    };
    set(&store, "PRAGMA busy_timeout = 0").await;
    fixture.sql.run("BEGIN IMMEDIATE").await.unwrap();
    let locked = pen.commit(&insert(&pen)).await.expect_err("another process writes");
    assert_eq!(locked.to_string(), "the database is unavailable: it is locked (SQLite code 5)");
    fixture.sql.run("ROLLBACK").await.unwrap();
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes);

    set(&store, "PRAGMA query_only = 1").await;
    let read_only = pen.commit(&insert(&pen)).await.expect_err("it cannot be written");
    assert_eq!(read_only.to_string(), "the database is unavailable: it is read-only (SQLite code 8)");
    assert!(store.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
}

/// A panic while rows are made ends the caller, not the connection (AU3).
#[tokio::test]
async fn a_panic_inside_a_commit_rolls_it_back() {
    struct Broken(PlainSeal);
    impl Seal for Broken {
        fn rows(&self, _: &Head, _: &[Group], _: &[Vec<Applied>]) -> Vec<AuditRow> {
            panic!("an encoder failed")
        }
        fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>) {
            self.0.head(rows)
        }
        fn rule(&self, rule: Rule) -> Tagged<Rule> {
            self.0.rule(rule)
        }
        fn check_rules(&self, rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>> {
            self.0.check_rules(rules)
        }
    }
    let (fixture, store) = open_fixture().await;
    let mut pen = Pen::open(&fixture).await;
    let (head, now) = (pen.head.clone(), pen.now);
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    let batch = [Group { entries: vec![Entry { effect, ..samples::note() }] }];
    let writer = store.clone();
    let task = tokio::spawn(async move {
        let seal = Broken(PlainSeal::default());
        writer.commit(&head, 0, &batch, LockMode::Shared, now, &seal).await.map(|_| ())
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes);
    assert!(store.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
}

/// A seal that numbers rows wrongly, or leaves one out, commits nothing.
#[tokio::test]
async fn rows_that_do_not_follow_the_head_are_refused() {
    struct Skipping(PlainSeal);
    impl Seal for Skipping {
        fn rows(&self, head: &Head, groups: &[Group], applied: &[Vec<Applied>]) -> Vec<AuditRow> {
            self.0.rows(head, groups, applied).split_off(1)
        }
        fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>) {
            self.0.head(rows)
        }
        fn rule(&self, rule: Rule) -> Tagged<Rule> {
            self.0.rule(rule)
        }
        fn check_rules(&self, rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>> {
            self.0.check_rules(rules)
        }
    }
    let (fixture, store) = open_fixture().await;
    let pen = Pen::open(&fixture).await;
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    let entries = vec![Entry { effect, ..samples::note() }, samples::note()];
    let seal = Skipping(PlainSeal::default());
    let refused = store.commit(&pen.head, 0, &[Group { entries }], LockMode::Shared, pen.now, &seal).await;
    assert!(
        matches!(refused, Err(StoreError::Malformed { table: "audit_events", column: "seq" })),
        "{refused:?}"
    );
    assert!(store.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
}
