//! Edits of `connections`.

use broker_client::proto::ConsentReason::{NotConnected, ReauthRequired};

use broker_tests::operator::Operator;
use demo::world::Options;
use std::time::Duration;

use super::scene::{ALICE_READS, Answer, BOB_READS, Edit, NEVER, Scene};

const fn alice(sql: &'static str) -> Edit {
    Edit { sql, ask: ALICE_READS, answer: Answer::Quarantine(ReauthRequired) }
}

/// The row is not alice's any more, as far as the query can tell.
const fn moved(sql: &'static str) -> Edit {
    Edit { sql, ask: ALICE_READS, answer: Answer::Consent(NotConnected) }
}

/// Proves: VA9, VA11
#[tokio::test]
async fn an_edited_connection_is_quarantined_and_replaced() {
    let mut scene = Scene::start().await;
    let edits = [
        alice("UPDATE connections SET client_id = 'other' WHERE id = '{alice}'"),
        alice("UPDATE connections SET account_id = 'acct-1002' WHERE id = '{alice}'"),
        alice("UPDATE connections SET account_label = 'bob@notes.example' WHERE id = '{alice}'"),
        alice("UPDATE connections SET state = 'reauth_required' WHERE id = '{alice}'"),
        alice("UPDATE connections SET state = 'suspended' WHERE id = '{alice}'"),
        alice("UPDATE connections SET scopes = 'notes.read' WHERE id = '{alice}'"),
        alice("UPDATE connections SET version = version + 1 WHERE id = '{alice}'"),
        alice("UPDATE connections SET version = 9223372036854775807 WHERE id = '{alice}'"),
        alice("UPDATE connections SET born_epoch = 1000000 WHERE id = '{alice}'"),
        alice("UPDATE connections SET created_at = created_at + 1 WHERE id = '{alice}'"),
        alice("UPDATE connections SET expires_at = 4102444800000000 WHERE id = '{alice}'"),
        alice("UPDATE connections SET mac = zeroblob(50) WHERE id = '{alice}'"),
        alice("UPDATE connections SET mac = x'' WHERE id = '{alice}'"),
        alice(
            "UPDATE connections SET mac = (SELECT mac FROM connections WHERE id = '{bob}') WHERE id = '{alice}'",
        ),
        Edit {
            sql: "UPDATE connections SET scopes = 'notes.read notes.write' WHERE id = '{bob}'",
            ask: NEVER[1],
            answer: Answer::Quarantine(ReauthRequired),
        },
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// Proves: VA11
#[tokio::test]
async fn a_connection_given_to_somebody_else_serves_nobody() {
    let mut scene = Scene::start().await;
    let edits = [
        moved("UPDATE connections SET subject = '{bob_sub}' WHERE id = '{alice}'"),
        moved("UPDATE connections SET realm = 'cluster' WHERE id = '{alice}'"),
        moved("UPDATE connections SET tenant = 'elsewhere' WHERE id = '{alice}'"),
        moved("UPDATE connections SET owner_kind = 'tenant', realm = '', subject = '' WHERE id = '{alice}'"),
        moved("UPDATE connections SET provider = 'elsewhere' WHERE id = '{alice}'"),
        // bob's own goes, and alice's takes its place under bob's name.
        Edit {
            sql: "UPDATE connections SET subject = CASE id WHEN '{alice}' THEN '{bob_sub}' ELSE '{alice_sub}' END",
            ask: BOB_READS,
            answer: Answer::Quarantine(ReauthRequired),
        },
        // alice's row lost its name, and bob's took it: hers is quarantined, his is nobody's.
        alice(
            "UPDATE connections SET id = CASE id WHEN '{alice}' THEN 'con_x' ELSE '{alice}' END WHERE id <> 'con_x'",
        ),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// A value that no column may hold is a row that cannot be read: quarantined like one that fails its check.
///
/// Proves: VA9, VA11
#[tokio::test]
async fn va9_a_connection_that_cannot_be_read_is_quarantined_and_replaced() {
    let mut scene = Scene::start().await;
    let edits = [
        alice("UPDATE connections SET state = 'splendid' WHERE id = '{alice}'"),
        alice("UPDATE connections SET scopes = 'notes.write notes.read' WHERE id = '{alice}'"),
        alice("UPDATE connections SET id = 'nonsense' WHERE id = '{alice}'"),
        alice("UPDATE connections SET id = CAST(x'636f6eff' AS TEXT) WHERE id = '{alice}'"),
        alice("UPDATE connections SET account_id = CAST(x'ff' AS TEXT) WHERE id = '{alice}'"),
        alice("UPDATE connections SET client_id = CAST(x'ff' AS TEXT) WHERE id = '{alice}'"),
        alice("UPDATE connections SET last_error = CAST(x'ff' AS TEXT) WHERE id = '{alice}'"),
        alice("UPDATE connections SET state = '', mac = x'', version = -1 WHERE id = '{alice}'"),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// Nobody else notices: not an administrator who lists, not the owner's page, not the owner's other calls.
///
/// Proves: VA9
#[tokio::test]
async fn va9_a_row_that_cannot_be_read_does_not_end_a_list() {
    let mut scene = Scene::start().await;
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    scene.database.edit(&scene.sql("UPDATE connections SET scopes = 'b a' WHERE id = '{alice}'")).await;
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = Operator::of(&scene.stage.world).list(1, token).await.expect("a page");
        listed.extend(page.connections.into_iter().map(|connection| connection.id));
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert!(listed.contains(&bob) && !listed.contains(&alice), "{listed:?}");
    scene.stage.stop().await;
}

/// A row kept in memory is as it was before the edit, and is not kept for long.
///
/// Proves: VA11
#[tokio::test]
async fn va11_an_edit_under_a_row_in_memory_gains_nothing_and_shows_within_its_age() {
    let mut scene = Scene::with(Options::default()).await;
    let (person, workload, scopes) = ALICE_READS;
    scene.stage.grant(person, workload, scopes).await;
    let sql = scene.sql("UPDATE connections SET account_id = 'somebody-else' WHERE id = '{alice}'");
    scene.database.edit(&sql).await;
    scene.stage.grant(person, workload, scopes).await;
    scene.stage.clock.advance(Duration::from_secs(10));
    let consent = scene.stage.consent(person, workload, scopes).await;
    assert_eq!(consent.reason, ReauthRequired);
    assert_eq!(scene.database.last_event().await.reason, "RECORD_QUARANTINED");
    scene.stage.stop().await;
}
