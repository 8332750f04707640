//! Edits of the audit log: `verify` names the row.

use broker::audit::{BadRow, VerifyError, verify};
use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage};
use demo::world::{ALICE, Workload::TicketHelper};

async fn bad_row(stage: &Stage) -> Option<BadRow> {
    let rooms = stage.world.rooms();
    let (ledger, log, keys) = (&*rooms.store.ledger, &*rooms.store.audit_log, rooms.keys.audit_keys());
    match verify(ledger, log, &keys, &mut |_| ()).await {
        Ok(_) => None,
        Err(VerifyError::Bad(bad)) => Some(bad),
        Err(VerifyError::Store(error)) => panic!("{error}"),
    }
}

/// A copy of both tables that can be put back although they only grow.
async fn save(database: &mut Database) {
    for table in ["audit_events", "audit_streams"] {
        database.drop_triggers(table).await;
        database.run(&format!("CREATE TEMP TABLE whole_{table} AS SELECT * FROM main.{table}")).await;
    }
}

async fn restore(database: &mut Database) {
    for table in ["audit_events", "audit_streams"] {
        database.run(&format!("DELETE FROM main.{table}")).await;
        database.run(&format!("INSERT INTO main.{table} SELECT * FROM temp.whole_{table}")).await;
    }
}

/// Proves: AU7, AU8
#[tokio::test]
async fn every_edit_of_an_event_is_named_by_verify() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    let (stream, seq) = grant.audit_position.clone();
    // More behind it, so that it is not the last.
    stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(bad_row(&stage).await, None);
    let mut database = stage.database().await;
    save(&mut database).await;
    let row = format!("WHERE stream = '{stream}' AND seq = {seq}");
    let edits = [
        "body = CAST(replace(CAST(body AS TEXT), 'ticket-helper', 'report-writer') AS BLOB)",
        "body = CAST(replace(CAST(body AS TEXT), 'allowed', 'denied') AS BLOB)",
        "previous_hash = zeroblob(32)",
        "hash = zeroblob(32)",
        "mac = zeroblob(32)",
        "mac_key = 'other'",
        "id = 'evt_' || substr(id, 6) || '0'",
        "time = time + 1000000",
        "tenant = 'elsewhere'",
        "subject = ''",
        "workload = 'report-writer'",
        "provider = 'elsewhere'",
        "kind = 'call.denied'",
        "outcome = 'denied'",
        "reason = 'BLOCKED'",
    ];
    for edit in edits {
        database.edit(&format!("UPDATE audit_events SET {edit} {row}")).await;
        let bad = bad_row(&stage).await.unwrap_or_else(|| panic!("verify sees nothing: {edit}"));
        assert_eq!((bad.stream.as_str(), bad.seq), (stream.as_str(), i64::try_from(seq).unwrap()), "{edit}");
        restore(&mut database).await;
    }
    // Gone: the row that stands where it stood is named.
    database.edit(&format!("DELETE FROM audit_events {row}")).await;
    let bad = bad_row(&stage).await.expect("verify sees it");
    assert_eq!((bad.stream.as_str(), bad.seq), (stream.as_str(), i64::try_from(seq).unwrap()));
    restore(&mut database).await;
    assert_eq!(bad_row(&stage).await, None);
    stage.stop().await;
}

/// Proves: AU7
#[tokio::test]
async fn every_edit_of_a_stream_is_named_by_verify() {
    let stage = Stage::start().await;
    let (stream, _) = stage.connect(&ALICE, TicketHelper, READ).await.audit_position;
    let mut database = stage.database().await;
    save(&mut database).await;
    let cut = "DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)".to_owned();
    let shorter = "UPDATE audit_streams SET (seq, hash) = (SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1)";
    let edits = [
        "UPDATE audit_streams SET open = 0".to_owned(),
        "UPDATE audit_streams SET mac = zeroblob(32)".to_owned(),
        "UPDATE audit_streams SET hash = zeroblob(32)".to_owned(),
        "UPDATE audit_streams SET seq = seq - 1".to_owned(),
        // The last event is cut off, and the head with it.
        format!("{cut};{shorter}"),
        cut,
        "DELETE FROM audit_events".to_owned(),
    ];
    for edit in edits {
        database.edit(&edit).await;
        let bad = bad_row(&stage).await.unwrap_or_else(|| panic!("verify sees nothing: {edit}"));
        assert_eq!(bad.stream.as_str(), stream, "{edit}");
        restore(&mut database).await;
    }
    stage.stop().await;
}

/// Proves: AU7, AU3
#[tokio::test]
async fn a_writer_whose_head_was_edited_issues_nothing_more_on_it() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    save(&mut database).await;
    database.edit("UPDATE audit_streams SET seq = seq + 1").await;
    assert!(stage.ask(&ALICE, TicketHelper, READ).await.is_err());
    stage.stop().await;
}
