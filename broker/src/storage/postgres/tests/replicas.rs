use super::{Place, fixture_of};
use crate::{
    domain::{Applied, Entry, Group, Names, RuleKind, Target, Write},
    storage::{
        Consents, Ledger, LockMode, Wakeups,
        conformance::{Fixture, pen::Pen, samples},
    },
};
use sqlx::Row;
use std::time::Duration;

/// A second process on the same database.
async fn second(place: &Place) -> Fixture {
    let timed = place.timed(place.open().await).await;
    place.around(timed).await
}

fn consent_for_the_same_need(pen: &Pen<'_>, byte: u8) -> Group {
    let effect = vec![Write::InsertConsent { row: pen.tag(samples::consent()), handle_hash: [byte; 32] }];
    Group { entries: vec![Entry { effect, ..samples::note() }] }
}

/// Proves: CO1
#[tokio::test]
async fn co1_two_replicas_at_once_open_one_consent_for_a_need() {
    let place = Place::migrated().await;
    let (fixture, store) = fixture_of(&place).await;
    let other = second(&place).await;
    for round in 0..10_u8 {
        let (mut a, mut b) = (Pen::open(&fixture).await, Pen::open(&other).await);
        let (one, two) =
            (consent_for_the_same_need(&a, round * 2), consent_for_the_same_need(&b, round * 2 + 1));
        let (one, two) = ([one], [two]);
        let (one, two) = tokio::join!(a.commit(&one), b.commit(&two));
        let applied = [one.unwrap().applied, two.unwrap().applied];
        let opened = applied.iter().filter(|a| a[0][0] == Applied::Yes).count();
        assert_eq!(opened, usize::from(round == 0), "{applied:?}");
    }
    assert_eq!(store.open_of(&samples::alice(), samples::NOW, 9).await.unwrap().len(), 1);
}

/// Proves: GR5
#[tokio::test]
async fn gr5_two_replicas_at_once_take_a_request_id_once() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let other = second(&place).await;
    let group =
        |byte| Group { entries: vec![Entry { claim: Some(samples::claim(byte)), ..samples::note() }] };
    for round in 0..10_u8 {
        let (mut a, mut b) = (Pen::open(&fixture).await, Pen::open(&other).await);
        // In opposite orders, and one of them with a group that is not claims alone.
        let forth: Vec<Group> = (0..8).map(|n| group(round * 8 + n)).collect();
        let mut back: Vec<Group> = (0..8).rev().map(|n| group(round * 8 + n)).collect();
        back.push(Group { entries: vec![samples::note()] });
        let (forth_done, back_done) = tokio::join!(a.commit(&forth), b.commit(&back));
        let (forth_done, back_done) = (forth_done.unwrap(), back_done.unwrap());
        for n in 0..8 {
            let (one, two) = (&forth_done.applied[n][0], &back_done.applied[7 - n][0]);
            let taken = [one, two].iter().filter(|a| ***a == Applied::Yes).count();
            assert_eq!(taken, 1, "{one:?} {two:?}");
            assert!([one, two].iter().any(|a| matches!(a, Applied::Duplicate(_))), "{one:?} {two:?}");
        }
    }
}

/// A workload that sends batches to two replicas in opposite order makes neither wait for the other.
///
/// Proves: GR5, GR6, AV4
#[tokio::test]
async fn gr5_gr6_two_replicas_at_once_take_the_request_ids_of_batches_in_one_order() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let other = second(&place).await;
    let group = |bytes: [u8; 2]| {
        let entry = |byte| Entry { claim: Some(samples::claim(byte)), ..samples::note() };
        Group { entries: bytes.map(entry).into() }
    };
    for round in 0..10_u8 {
        let (mut a, mut b) = (Pen::open(&fixture).await, Pen::open(&other).await);
        let at = |n| round * 8 + n;
        let forth: Vec<Group> = (0..4).map(|n| group([at(2 * n), at(2 * n + 1)])).collect();
        let back: Vec<Group> = (0..4).rev().map(|n| group([at(2 * n + 1), at(2 * n)])).collect();
        let (forth_done, back_done) = tokio::join!(a.commit(&forth), b.commit(&back));
        // The server ends one of two that wait for each other.
        let (forth_done, back_done) = (forth_done.unwrap(), back_done.unwrap());
        for n in 0..4 {
            let both = [&forth_done.applied[n], &back_done.applied[3 - n]];
            let whole = both.iter().filter(|a| a.iter().all(|one| *one == Applied::Yes)).count();
            let none = both.iter().filter(|a| a.iter().all(|one| *one != Applied::Yes)).count();
            assert_eq!((whole, none), (1, 1), "{both:?}");
        }
    }
}

/// Proves: RV2, RV4
#[tokio::test]
async fn rv2_rv4_no_replica_commits_from_what_another_has_revoked() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let other = second(&place).await;
    let (mut issuing, mut revoking) = (Pen::open(&fixture).await, Pen::open(&other).await);
    let target = Target::Workload(samples::workload());
    for round in 1..=20_i64 {
        let names = Names { workload: Some(samples::workload()), ..Names::default() };
        let rely = || Entry { names: names.clone(), epoch: round - 1, ..samples::note() };
        let rule = Entry {
            effect: vec![Write::AddRule { kind: RuleKind::Revoke, target: target.clone() }],
            ..samples::note()
        };
        let batch = [Group { entries: vec![rely()] }];
        let rules = [Group { entries: vec![rule] }];
        let ledger = &other.ledger;
        let revoke = ledger.commit(
            &revoking.head,
            revoking.epoch,
            &rules,
            LockMode::Exclusive,
            revoking.now,
            &revoking.seal,
        );
        let (_, revoked) = tokio::join!(issuing.commit(&batch), revoke);
        let revoked = revoked.unwrap();
        revoking.head = revoked.head;
        revoking.epoch = round;
        // Acknowledged: from here on nothing read before it is committed, though this writer was told nothing.
        let after = issuing.commit(&[Group { entries: vec![rely()] }]).await.unwrap();
        assert!(
            matches!(&after.applied[0][0], Applied::Hit(rule) if rule.epoch == round),
            "{:?}",
            after.applied
        );
    }
}

/// A holder that stands still inside its transaction is ended by the server; until then others go on, and the revoke gets through.
///
/// Proves: AV7
#[tokio::test]
async fn av7_a_paused_holder_stalls_neither_issuing_nor_a_revoke_for_long() {
    let place = Place::migrated().await;
    let (fixture, store) = fixture_of(&place).await;
    let other = second(&place).await;
    let (mut issuing, revoking) = (Pen::open(&fixture).await, Pen::open(&other).await);
    // What a stopped process leaves: the lock held, and nobody there.
    let mut paused = place.as_application().await;
    sqlx::raw_sql(crate::storage::postgres::transaction::BEGIN_SHARED).execute(&mut paused).await.unwrap();
    let target = Target::Workload(samples::workload());
    let rule = Entry { effect: vec![Write::AddRule { kind: RuleKind::Revoke, target }], ..samples::note() };
    let rules = [Group { entries: vec![rule] }];
    let revoke =
        other.ledger.commit(&revoking.head, 0, &rules, LockMode::Exclusive, revoking.now, &revoking.seal);
    let issue = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begun = tokio::time::Instant::now();
            issuing.commit(&[Group { entries: vec![samples::note()] }]).await.unwrap();
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let both = async { tokio::join!(revoke, issue) };
    let (revoked, slowest) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("bounded");
    revoked.unwrap();
    assert!(slowest < Duration::from_secs(3), "an issue waited {slowest:?} behind the waiting revoke");
    assert!(
        sqlx::raw_sql("SELECT 1").execute(&mut paused).await.is_err(),
        "the server ended the paused session"
    );
    assert_eq!(store.rules_since(0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_changed_consent_wakes_waiters_on_every_replica_once() {
    let place = Place::migrated().await;
    let (fixture, store) = fixture_of(&place).await;
    let other = place.open().await;
    let (mut here, mut there) = (store.consents(), other.consents());
    // Listening has begun when the server says so.
    let listening = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        broker_testkit::shared().sql(&place.database, sql).parse::<i64>().unwrap()
    };
    wait_for(listening, 2).await;
    let mut pen = Pen::open(&fixture).await;
    let consent = samples::consent();
    pen.write(vec![Write::InsertConsent { row: pen.tag(consent.clone()), handle_hash: [1; 32] }]).await;
    let woken = tokio::time::timeout(Duration::from_secs(5), there.recv()).await.expect("woken").unwrap();
    assert_eq!((&woken, &here.recv().await.unwrap()), (&consent.id, &consent.id));
    // Its own notice has come back by the time the next one is heard elsewhere.
    let next = samples::consent();
    let next = crate::domain::Consent { subject: samples::person("bob"), ..next };
    pen.write(vec![Write::InsertConsent { row: pen.tag(next.clone()), handle_hash: [2; 32] }]).await;
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(5), there.recv()).await.expect("woken").unwrap(),
        next.id
    );
    assert_eq!(here.recv().await.unwrap(), next.id, "not the first one again");
}

async fn wait_for(mut look: impl AsyncFnMut() -> i64, wanted: i64) {
    let until = async {
        while look().await < wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until).await.expect("it comes about");
}

/// However many groups: begin, rules, claims, rows, commit.
#[tokio::test]
async fn a_batch_that_only_issues_costs_few_statements_however_large() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    let connection = samples::connection();
    pen.write(vec![Write::InsertConnection(pen.tag(connection.clone()))]).await;
    let group = |byte: u8| {
        let mut draft = samples::draft(crate::domain::EventKind::GrantIssue);
        draft.connection = Some(connection.id.clone());
        Group { entries: vec![Entry { claim: Some(samples::claim(byte)), ..Entry::note(draft) }] }
    };
    let batch: Vec<Group> = (0..=255).map(group).collect();
    pen.commit(&batch[..1]).await.unwrap();
    // Statements that write or lock, as the server itself counts them: one more transaction, 256 more rows.
    let mut owner = place.as_owner().await;
    sqlx::raw_sql("CREATE TABLE seen (sql TEXT); GRANT INSERT ON seen TO broker_app;
         CREATE FUNCTION see() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (TG_OP || TG_TABLE_NAME); RETURN NULL; END';
         CREATE TRIGGER see AFTER INSERT OR UPDATE ON requests FOR EACH STATEMENT EXECUTE FUNCTION see();
         CREATE TRIGGER see AFTER INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION see();
         CREATE TRIGGER see AFTER UPDATE ON audit_streams FOR EACH STATEMENT EXECUTE FUNCTION see();
         CREATE TRIGGER see AFTER UPDATE ON connections FOR EACH STATEMENT EXECUTE FUNCTION see()")
        .execute(&mut owner)
        .await
        .unwrap();
    let done = pen.commit(&batch[1..]).await.unwrap();
    assert!(done.applied.iter().all(|group| *group == [Applied::Yes]));
    let rows = sqlx::query("SELECT sql FROM seen ORDER BY sql").fetch_all(&mut owner).await.unwrap();
    let seen: Vec<String> = rows.iter().map(|row| row.get("sql")).collect();
    // An upsert fires both of its triggers once.
    assert_eq!(
        seen,
        [
            "INSERTaudit_events",
            "INSERTrequests",
            "UPDATEaudit_streams",
            "UPDATEconnections",
            "UPDATErequests"
        ]
    );
}

/// A collision that only an UPDATE can meet is that group's refusal alone.
#[tokio::test]
async fn an_update_that_meets_a_unique_key_is_refused_and_its_neighbours_are_not() {
    let place = Place::migrated().await;
    let (fixture, store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    let (one, two) = (samples::connection(), samples::connection());
    for connection in [&one, &two] {
        pen.write(vec![Write::InsertConnection(pen.tag(connection.clone()))]).await;
    }
    let taken = crate::domain::Connection { account: one.account.clone(), version: 2, ..two.clone() };
    let update = |row| Write::UpdateConnection { row, expected_version: 1 };
    let batch = [
        Group { entries: vec![Entry { effect: vec![update(pen.tag(taken))], ..samples::note() }] },
        Group {
            entries: vec![Entry {
                effect: vec![Write::InsertConnection(pen.tag(samples::connection()))],
                ..samples::note()
            }],
        },
    ];
    let done = pen.commit(&batch).await.unwrap();
    assert_eq!(done.applied, [vec![Applied::NotApplied(0)], vec![Applied::Yes]]);
    let all = crate::storage::Connections::page(&*store, &samples::tenant(), None, 9).await.unwrap();
    assert_eq!(all.len(), 3);
}
