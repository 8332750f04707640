//! Edits of `connection_secrets`: ciphertexts moved, tokens relabelled.

use broker_client::proto::ConsentReason::ReauthRequired;

use super::scene::{ALICE_READS, ALICE_WRITES, Answer, Ask, BOB_READS, Edit, Scene};

const fn quarantined(sql: &'static str, ask: Ask) -> Edit {
    Edit { sql, ask, answer: Answer::Quarantine(ReauthRequired) }
}

/// Proves: VA2, VA9, VA11
#[tokio::test]
async fn a_ciphertext_in_another_row_is_quarantined_and_replaced() {
    let mut scene = Scene::start().await;
    let edits = [
        // Between two people.
        quarantined(
            "UPDATE connection_secrets SET envelope = (SELECT envelope FROM connection_secrets
               WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read')
             WHERE connection = '{bob}' AND kind = 'access' AND scope_key = 'notes.read'",
            BOB_READS,
        ),
        // The whole row, MAC and all.
        quarantined(
            "UPDATE connection_secrets SET (envelope, generation, expires_at, obtained_at, mac) =
               (SELECT envelope, generation, expires_at, obtained_at, mac FROM connection_secrets
                WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read')
             WHERE connection = '{bob}' AND kind = 'access' AND scope_key = 'notes.read'",
            BOB_READS,
        ),
        // All of a person's secrets under the other's connection.
        quarantined(
            "UPDATE connection_secrets SET connection = 'away' WHERE connection = '{alice}';
             UPDATE connection_secrets SET connection = '{alice}' WHERE connection = '{bob}';
             UPDATE connection_secrets SET connection = '{bob}' WHERE connection = 'away'",
            BOB_READS,
        ),
        // The wide token under the narrow key.
        quarantined(
            "UPDATE connection_secrets SET envelope = (SELECT envelope FROM connection_secrets
               WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read notes.write')
             WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        // An access token where the refresh token was, and the other way round.
        quarantined(
            "UPDATE connection_secrets SET envelope = (SELECT envelope FROM connection_secrets
               WHERE connection = '{alice}' AND kind = 'refresh')
             WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET envelope = (SELECT envelope FROM connection_secrets
               WHERE connection = '{alice}' AND kind = 'access' AND scope_key = 'notes.read')
             WHERE connection = '{alice}' AND kind = 'refresh'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET envelope = zeroblob(200) WHERE connection = '{alice}' AND kind = 'refresh'",
            ALICE_WRITES,
        ),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// Proves: VA11
#[tokio::test]
async fn a_relabelled_token_is_quarantined_and_replaced() {
    let mut scene = Scene::start().await;
    let edits = [
        quarantined(
            "UPDATE connection_secrets SET generation = generation + 1
             WHERE connection = '{alice}' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET expires_at = expires_at + 3600000000
             WHERE connection = '{alice}' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET expires_at = NULL WHERE connection = '{alice}' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET obtained_at = 0 WHERE connection = '{alice}' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        // The wide token called narrow, once the narrow one is out of the way.
        quarantined(
            "DELETE FROM connection_secrets WHERE connection = '{alice}' AND scope_key = 'notes.read';
             UPDATE connection_secrets SET scopes = 'notes.read', scope_key = 'notes.read'
             WHERE connection = '{alice}' AND kind = 'access'",
            ALICE_READS,
        ),
        // bob's narrow token called wide.
        quarantined(
            "UPDATE connection_secrets SET scopes = 'notes.read notes.write', scope_key = 'notes.read notes.write'
             WHERE connection = '{bob}' AND kind = 'access'",
            BOB_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET mac = zeroblob(50) WHERE connection = '{alice}' AND kind = 'access'",
            ALICE_READS,
        ),
        // Not even readable.
        quarantined(
            "UPDATE connection_secrets SET scope_key = 'notes.write' WHERE connection = '{alice}' AND scope_key = 'notes.read'",
            ALICE_READS,
        ),
        quarantined(
            "UPDATE connection_secrets SET scopes = 'notes.write notes.read' WHERE connection = '{alice}' AND kind = 'refresh'",
            ALICE_READS,
        ),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}
