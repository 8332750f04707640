//! Connections that are over do not come back by an edit.

use broker_client::proto::ConsentReason::{NotConnected, ReauthRequired};
use broker_tests::operator::Operator;
use broker_tests::stage::{READ, Stage};
use demo::saas::Rotation;
use demo::world::{ALICE, Workload::TicketHelper};
use std::time::Duration;

/// Proves: VA9, VA11
#[tokio::test]
async fn a_latched_connection_does_not_become_active_by_an_edit() {
    let stage = Stage::start().await;
    let connection = stage.connect(&ALICE, TicketHelper, READ).await.connection_id;
    assert_eq!(stage.world.notes().disconnect(ALICE.notes.name), 1);
    stage.clock.advance(Duration::from_secs(700));
    let latched = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(latched.reason, ReauthRequired);
    let mut database = stage.database().await;
    assert_eq!(database.text("SELECT state FROM connections").await, "reauth_required");

    database.edit(&format!("UPDATE connections SET state = 'active' WHERE id = '{connection}'")).await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(consent.reason, ReauthRequired);
    assert_eq!(database.last_event().await.reason, "RECORD_QUARANTINED");
    stage.walk(&ALICE, &consent).await;
    assert!(stage.facts(&stage.grant(&ALICE, TicketHelper, READ).await).live);
    stage.stop().await;
}

/// The row is put back exactly as it was before the revocation, tokens and all: authentic, but a rule has ended it.
///
/// Proves: RV2, VA11
#[tokio::test]
async fn a_revoked_connection_does_not_come_back_by_an_edit_or_a_copy() {
    let stage = Stage::start().await;
    stage.world.notes().set_rotation(Rotation::None);
    let connection = stage.connect(&ALICE, TicketHelper, READ).await.connection_id;
    let mut database = stage.database().await;
    database.save().await;
    Operator::of(&stage.world).revoke(&connection).await.expect("revoked");

    database.edit("UPDATE connections SET state = 'active'").await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(consent.reason, ReauthRequired, "the edited row is quarantined");
    database.restore().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(consent.reason, NotConnected, "the copy is authentic and over");

    // Also by a broker that knows nothing but its file.
    let stage = stage.restart(async |_| {}).await.expect("starts again");
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(consent.reason, NotConnected);
    stage.walk(&ALICE, &consent).await;
    assert_ne!(stage.grant(&ALICE, TicketHelper, READ).await.connection_id, connection);
    stage.stop().await;
}
