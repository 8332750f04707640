//! A row whose MAC names a key that is not known: it may be another replica's, until the keys were read again.

use broker::domain::{Authority, ConsentId, RowKey, SystemRng, Tagged};
use broker::keys::{FileKeyring, KeyRing};
use broker::storage::{SqliteStore, WrappedKeys};
use broker::worker;
use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage, refused};
use data_encoding::HEXLOWER;
use demo::world::{
    ALICE, BOB, Options,
    Workload::{self, ReportWriter, TicketHelper},
};
use std::sync::Arc;
use std::time::Duration;

/// As the broker would name a key.
const NOBODYS: &str = "key_00000000000000000000000000";

async fn stage() -> Stage {
    let extra_config = "limits: { hot_rows_mebibytes: 0 }".to_owned();
    Stage::with(Options { extra_config, ..Options::default() }).await
}

/// The key ring of a replica that has made a system key of its own under the same root key, and put it into the database.
async fn rotated_elsewhere(stage: &Stage, database: &mut Database) -> KeyRing {
    let world = &stage.world;
    let root = FileKeyring::load(&world.path("keys.json")).expect("the root key");
    let store = SqliteStore::open(&world.path("elsewhere.db"), world.clock().now()).await.expect("a store");
    let (store, rng) = (Arc::new(store), Arc::new(SystemRng::default()));
    let ring = KeyRing::open(root, store.clone(), Arc::clone(world.clock()), rng).await.expect("a key ring");
    let made = store.tenant_keys("").await.expect("read").remove(0);
    store.close().await.expect("closes");
    database
        .edit(&format!(
            "INSERT INTO tenant_keys (id, tenant, wrapped_by, wrapped, created_at)
             VALUES ('{}', '', '{}', x'{}', {})",
            made.id,
            made.wrapped_by,
            HEXLOWER.encode(&made.wrapped),
            made.created_at.plus(Duration::from_secs(1)).micros()
        ))
        .await;
    ring
}

/// The MAC of the same row by another key.
fn mac<T: Authority>(stored: Tagged<T>, known: &RowKey, by: &RowKey) -> String {
    let tagged = by.tag(stored.check(known).expect("authentic"));
    HEXLOWER.encode(&tagged.stored_parts().1.to_bytes())
}

/// Proves: VA9, VA5
#[tokio::test]
async fn va9_va5_what_a_replica_tagged_with_a_new_key_is_served_by_the_others() {
    let stage = stage().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let consent = stage.consent(&BOB, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let other = rotated_elsewhere(&stage, &mut database).await;
    let rooms = stage.world.rooms();
    let (known, by) = (rooms.row_key(), other.row_key());
    let id = consent.consent_id.as_str();
    let stored = rooms
        .store
        .consents
        .by_id(&ConsentId::parse(id).expect("an id"))
        .await
        .expect("read")
        .expect("there");
    database
        .edit(&format!("UPDATE consents SET mac = x'{}' WHERE id = '{id}'", mac(stored, &known, &by)))
        .await;
    assert_eq!(stage.consent(&BOB, TicketHelper, READ).await.consent_id, id, "the same link");
    assert_eq!(stage.walk(&BOB, &consent).await.status, 200);
    stage.grant(&BOB, TicketHelper, READ).await;
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// The tables, and who asks for what is in them.
const TABLES: [(&str, Workload); 4] = [
    ("connections", TicketHelper),
    ("connection_secrets", TicketHelper),
    ("approvals", TicketHelper),
    ("consents", ReportWriter),
];

/// The MAC as it is, said to be made with a key that nobody has made.
fn by_nobody(table: &str) -> String {
    format!("UPDATE {table} SET mac = CAST(substr(mac, 1, 32) || CAST('{NOBODYS}' AS BLOB) AS BLOB)")
}

/// Takes the system keys away, or puts them back, so that they cannot be read meanwhile.
async fn hide(database: &mut Database, hidden: bool) {
    let (from, to) = if hidden { ("", "hidden") } else { ("hidden", "") };
    database.edit(&format!("UPDATE tenant_keys SET tenant = '{to}' WHERE tenant = '{from}'")).await;
}

/// Proves: VA9
#[tokio::test]
async fn va9_a_row_whose_key_is_unknown_is_unavailable_while_the_keys_cannot_be_read() {
    let stage = stage().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let waiting = stage.consent(&ALICE, ReportWriter, READ).await;
    let mut database = stage.database().await;
    database.save().await;
    hide(&mut database, true).await;
    for (table, workload) in TABLES {
        database.edit(&by_nobody(table)).await;
        assert_eq!(refused(stage.ask(&ALICE, workload, READ).await), "KEY_UNAVAILABLE", "{table}");
        database.restore().await;
    }
    stage.grant(&ALICE, TicketHelper, READ).await;
    let again = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(again.consent_id, waiting.consent_id, "nothing was set aside");
    stage.stop().await;
}

/// Whoever edits a key's id locks nobody out: the row is quarantined, its owner asked again, and no other row is touched.
///
/// Proves: VA9
#[tokio::test]
async fn va9_a_row_that_names_a_key_nobody_made_is_quarantined_and_stops_no_other() {
    let stage = stage().await;
    for person in [&ALICE, &BOB] {
        stage.connect(person, TicketHelper, READ).await;
    }
    let waiting = stage.consent(&ALICE, ReportWriter, READ).await;
    let mut database = stage.database().await;
    let alices = "(SELECT id FROM connections WHERE account_id = 'acct-1001')";
    database.save().await;
    for (table, workload) in TABLES {
        let hers = match table {
            "connections" => format!("WHERE id = {alices}"),
            "consents" => format!("WHERE id = '{}'", waiting.consent_id),
            _ => format!("WHERE connection = {alices}"),
        };
        database.edit(&format!("{} {hers}", by_nobody(table))).await;
        let asked_again = stage.consent(&ALICE, workload, READ).await;
        assert_ne!(asked_again.consent_id, waiting.consent_id, "{table}");
        // An approval that does not count is asked for like one that is not there.
        let reason = if table == "approvals" { "" } else { "RECORD_QUARANTINED" };
        assert_eq!(database.last_event().await.reason, reason, "{table}");
        stage.grant(&BOB, TicketHelper, READ).await;
        database.restore().await;
    }
    database.edit(&format!("{} WHERE id = {alices}", by_nobody("connections"))).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.grant(&BOB, TicketHelper, READ).await;
    stage.stop().await;
}

/// Nor do edited rows cost a read of the system keys with every call.
///
/// Proves: VA9
#[tokio::test]
async fn va9_a_key_that_is_not_there_is_looked_for_once_in_a_while() {
    let stage = stage().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    database.edit(&by_nobody("connections")).await;
    database.save().await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    database.restore().await;
    hide(&mut database, true).await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    database.restore().await;
    stage.clock.advance(Duration::from_secs(10));
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "KEY_UNAVAILABLE", "it was looked for");
    hide(&mut database, false).await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// However many such consents are overdue, the sweep reaches the others, and leaves them as they are until the keys can be read.
///
/// Proves: VA9, CO12
#[tokio::test]
async fn va9_overdue_consents_whose_key_is_unknown_wait_and_keep_no_other_waiting() {
    let stage = stage().await;
    let late = stage.consent(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let columns = database.text("SELECT group_concat(name) FROM pragma_table_info('consents')").await;
    let copied = columns
        .replace("state_hash", "NULL")
        .replacen("id,handle_hash", "printf('cns_%026d', n), randomblob(32)", 1)
        .replace(",expires_at", ",expires_at - n")
        .replace(",mac", &format!(",CAST(substr(mac, 1, 32) || CAST('{NOBODYS}' AS BLOB) AS BLOB)"));
    database
        .edit(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 150)
             INSERT INTO consents ({columns}) SELECT {copied} FROM consents, numbers"
        ))
        .await;
    hide(&mut database, true).await;
    stage.clock.advance(Duration::from_secs(3600));
    worker::round(stage.world.rooms()).await;
    let state = format!("SELECT state FROM consents WHERE id = '{}'", late.consent_id);
    assert_eq!(database.text(&state).await, "expired");
    assert_eq!(database.text("SELECT count(*) FROM consents WHERE state = 'pending'").await, "150");
    hide(&mut database, false).await;
    for _ in 0..2 {
        worker::round(stage.world.rooms()).await;
    }
    assert_eq!(database.text("SELECT count(*) FROM consents WHERE state = 'set_aside'").await, "150");
    stage.stop().await;
}
