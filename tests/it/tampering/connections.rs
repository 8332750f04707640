//! Edits of `connections`.

use broker_client::proto::ConsentReason::{NotConnected, ReauthRequired};

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

/// Proves: VA2, VA11
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
        Edit {
            sql: "UPDATE connections SET id = CASE id WHEN '{alice}' THEN 'con_x' ELSE '{alice}' END WHERE id <> 'con_x'",
            ask: ALICE_READS,
            answer: Answer::Refusal("RECORD_QUARANTINED"),
        },
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// A value that no column may hold is a row that cannot be read: refused by name, for its owner alone.
///
/// Proves: VA9
#[tokio::test]
async fn a_connection_that_cannot_be_read_is_refused_by_name() {
    let mut scene = Scene::start().await;
    let unreadable = |sql| Edit { sql, ask: ALICE_READS, answer: Answer::Refusal("RECORD_QUARANTINED") };
    let edits = [
        unreadable("UPDATE connections SET state = 'splendid' WHERE id = '{alice}'"),
        unreadable("UPDATE connections SET scopes = 'notes.write notes.read' WHERE id = '{alice}'"),
        unreadable("UPDATE connections SET id = 'nonsense' WHERE id = '{alice}'"),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}
