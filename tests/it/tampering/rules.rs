//! Edits of `revocations`: what was taken away stays away, or nothing is served at all.

use broker_client::Outcome;
use broker_tests::database::Database;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::{READ, Stage, refused, subject_of};
use demo::world::{ALICE, BOB, Workload::TicketHelper};

/// alice is blocked, then bob, then bob no longer.
async fn blocked() -> Stage {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, TicketHelper, READ).await;
    let operator = Operator::of(&stage.world);
    operator.block(person(&ALICE)).await.expect("blocked");
    operator.block(person(&BOB)).await.expect("blocked");
    operator.unblock(person(&BOB)).await.expect("lifted");
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "BLOCKED");
    stage.grant(&BOB, TicketHelper, READ).await;
    stage
}

async fn edit(database: &mut Database, sql: &str) {
    database.drop_triggers("revocations").await;
    database.edit(sql).await;
}

const CUTS: [&str; 4] = [
    "DELETE FROM revocations WHERE epoch = 3",
    "DELETE FROM revocations WHERE epoch = 1",
    "DELETE FROM revocations WHERE epoch > 1",
    "DELETE FROM revocations",
];

/// Proves: VA11, RV2
#[tokio::test]
async fn an_edited_rule_keeps_the_broker_from_starting() {
    let edits = [
        "UPDATE revocations SET kind = 'lift' WHERE epoch = 1",
        "UPDATE revocations SET kind = 'revoke' WHERE epoch = 1",
        "UPDATE revocations SET target_name = 'somebody' WHERE epoch = 1",
        "UPDATE revocations SET target_realm = 'cluster' WHERE epoch = 1",
        "UPDATE revocations SET target_tenant = 'elsewhere' WHERE epoch = 1",
        "UPDATE revocations SET target_kind = 'workload' WHERE epoch = 1",
        "UPDATE revocations SET at = at + 1 WHERE epoch = 1",
        "UPDATE revocations SET mac = zeroblob(50) WHERE epoch = 1",
        "UPDATE revocations SET epoch = 4 WHERE epoch = 1",
        "UPDATE revocations SET epoch = epoch + 10 WHERE epoch = 1; UPDATE revocations SET epoch = 1 WHERE epoch = 2;
         UPDATE revocations SET epoch = 2 WHERE epoch = 11",
    ];
    refuses_to_start(&edits).await;
}

/// Proves: VA11, RV2
#[tokio::test]
async fn a_removed_rule_keeps_the_broker_from_starting() {
    refuses_to_start(&CUTS).await;
}

async fn refuses_to_start(edits: &[&str]) {
    for sql in edits {
        let stage = blocked().await;
        let Err(error) = stage.restart(async |database| edit(database, sql).await).await else {
            panic!("it starts in spite of: {sql}");
        };
        let error = error.to_string();
        assert!(error.contains("revocation rule"), "{sql}: {error}");
    }
}

/// A command's stream in the log, which is newer than the broker's, says nothing of the rules that the broker has made since.
///
/// Proves: VA11
#[tokio::test]
async fn va11_a_rule_made_after_a_key_was_rotated_is_missed_when_it_is_gone() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    crate::rotation::rotate(&stage.world).await;
    Operator::of(&stage.world).block(person(&ALICE)).await.expect("blocked");
    let Err(error) = stage.restart(async |database| edit(database, "DELETE FROM revocations").await).await
    else {
        panic!("it starts without its rule");
    };
    assert!(error.to_string().contains("revocation rule"), "{error}");
}

/// A running broker knows its rules; what the file says about them later does not count, or stops everything.
///
/// Proves: RV2
#[tokio::test]
async fn a_rule_removed_under_a_running_broker_helps_nobody() {
    for sql in CUTS.iter().chain(&[
        "UPDATE revocations SET kind = 'lift', target_name = 'x' WHERE epoch = 1",
        "UPDATE revocations SET kind = 'lift', target_name = 'x' WHERE epoch = 3",
    ]) {
        let stage = blocked().await;
        let mut database = stage.database().await;
        edit(&mut database, sql).await;
        for _ in 0..3 {
            let outcome = stage.ask(&ALICE, TicketHelper, READ).await;
            assert!(!matches!(outcome, Ok(Outcome::Grant(_))), "{sql}: alice is blocked");
        }
        stage.stop().await;
    }
}

/// A rule that nobody with the key has made: everything stops until it is gone.
///
/// Proves: VA11
#[tokio::test]
async fn a_forged_rule_stops_everything_and_lifts_nothing() {
    let stage = blocked().await;
    let mut database = stage.database().await;
    let forged = format!(
        "INSERT INTO revocations SELECT 4, 'lift', 'subject', '{}', 'company', 'staff', at, mac FROM revocations WHERE epoch = 1",
        subject_of(&ALICE)
    );
    database.edit(&forged).await;
    assert_eq!(refused(stage.ask(&BOB, TicketHelper, READ).await), "AUDIT_UNAVAILABLE");
    let outcome = stage.ask(&ALICE, TicketHelper, READ).await;
    assert!(outcome.is_err(), "alice is blocked");
    stage.stop().await;
}
