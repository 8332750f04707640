//! Edits of `requests`: a claim that was edited answers nothing.

use broker_tests::stage::{READ, granted, refused};
use demo::world::{ALICE, BOB, Workload::TicketHelper};

use super::scene::Scene;

const ID: &str = "b3a9";

/// Proves: GR4, GR5
#[tokio::test]
async fn an_edited_claim_is_not_the_one_of_the_request() {
    let mut scene = Scene::start().await;
    let request = |scene: &Scene, person| scene.stage.request(person, TicketHelper, READ).request_id(ID);
    let ask = async |scene: &Scene, person| {
        scene.stage.client(TicketHelper).issue_grant(&request(scene, person)).await
    };
    let first = granted(ask(&scene, &ALICE).await);
    granted(ask(&scene, &BOB).await);
    scene.database.save().await;
    let alices = "WHERE connection = '{alice}' AND grant_id = '{grant}'";
    for edit in [
        // The wide token of the same connection, another person's connection, another grant's name, a longer life.
        "scope_key = 'notes.read notes.write', generation = (SELECT generation FROM connection_secrets
           WHERE connection = '{alice}' AND scope_key = 'notes.read notes.write')",
        "connection = '{bob}'",
        "grant_id = (SELECT grant_id FROM requests WHERE connection = '{bob}')",
        "generation = generation + 1",
        "grant_expires_at = grant_expires_at + 3600000000",
        "fingerprint = (SELECT fingerprint FROM requests WHERE connection = '{bob}')",
    ] {
        let sql = format!("UPDATE requests SET {edit} {alices}").replace("{grant}", &first.id);
        scene.database.edit(&scene.sql(&sql)).await;
        assert_eq!(refused(ask(&scene, &ALICE).await), "REQUEST_ID_REUSED", "{edit}");
        scene.database.restore().await;
        assert_eq!(granted(ask(&scene, &ALICE).await).id, first.id, "{edit}");
    }
    scene.stage.stop().await;
}
