//! Edits of wrapped keys: a key in another's place does not unwrap, and none is made in its stead.

use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage, refused};
use demo::world::{ALICE, BOB, Workload::TicketHelper};

use crate::rotation::rotate;

async fn stage() -> Stage {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, TicketHelper, READ).await;
    stage
}

async fn refuses_to_start(sql: &str, because: &str) {
    let Err(error) = stage().await.restart(async |database| database.edit(sql).await).await else {
        panic!("it starts in spite of: {sql}");
    };
    assert!(error.to_string().contains(because), "{sql}: {error}");
}

/// Proves: VA11
#[tokio::test]
async fn a_system_key_in_another_place_keeps_the_broker_from_starting() {
    let unwrap = "does not unwrap";
    // The broker's own key and the tenant's change places.
    refuses_to_start(
        "UPDATE tenant_keys SET tenant = CASE tenant WHEN '' THEN 'company' ELSE '' END",
        unwrap,
    )
    .await;
    refuses_to_start(
        "UPDATE tenant_keys SET wrapped = (SELECT wrapped FROM tenant_keys WHERE tenant = 'company') WHERE tenant = ''",
        unwrap,
    )
    .await;
    refuses_to_start("UPDATE tenant_keys SET wrapped = zeroblob(60) WHERE tenant = ''", unwrap).await;
    refuses_to_start("UPDATE tenant_keys SET wrapped_by = 'other' WHERE tenant = ''", "no key other").await;
}

/// A system key that is gone is not made anew over a log that it vouched for.
///
/// Proves: VA11
#[tokio::test]
async fn a_removed_system_key_keeps_the_broker_from_starting() {
    let Err(error) = stage()
        .await
        .restart(async |database| database.edit("DELETE FROM tenant_keys WHERE tenant = ''").await)
        .await
    else {
        panic!("it starts with a key of its own making");
    };
    assert!(error.to_string().contains("no system key"), "{error}");
}

async fn after(sql: &str) -> Stage {
    let edit = async |database: &mut Database| database.edit(sql).await;
    stage().await.restart(edit).await.expect("the system key is untouched")
}

/// Proves: VA11
#[tokio::test]
async fn a_tenant_key_in_another_place_opens_nothing() {
    for sql in [
        "UPDATE tenant_keys SET wrapped = (SELECT wrapped FROM tenant_keys WHERE tenant = '') WHERE tenant = 'company'",
        "UPDATE tenant_keys SET wrapped = zeroblob(60) WHERE tenant = 'company'",
        "UPDATE tenant_keys SET wrapped_by = 'other' WHERE tenant = 'company'",
        "UPDATE tenant_keys SET id = 'other' WHERE tenant = 'company'",
    ] {
        let stage = after(sql).await;
        // Not even the refusal can be written down: a person is named in the log by a tenant key.
        assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "AUDIT_UNAVAILABLE", "{sql}");
        stage.stop().await;
    }
}

/// The people's own keys seal what is personal in the log.
///
/// Proves: VA11
#[tokio::test]
async fn a_subject_key_in_another_place_seals_nothing() {
    for sql in [
        "UPDATE subject_keys SET wrapped = (SELECT s.wrapped FROM subject_keys s WHERE s.subject <> subject_keys.subject)",
        "UPDATE subject_keys SET subject = subject || 'x' WHERE rowid = (SELECT min(rowid) FROM subject_keys);
         UPDATE subject_keys SET subject = (SELECT substr(s.subject, 1, 64) FROM subject_keys s WHERE length(s.subject) = 65)
           WHERE length(subject) = 64;
         UPDATE subject_keys SET subject = 'nobody' WHERE length(subject) = 65",
    ] {
        let stage = after(sql).await;
        let mut reasons = Vec::new();
        for person in [&ALICE, &BOB] {
            if let Err(error) = stage.ask(person, TicketHelper, READ).await {
                reasons.push(error.reason().to_owned());
            }
        }
        assert!(!reasons.is_empty() && reasons.iter().all(|r| r == "AUDIT_UNAVAILABLE"), "{sql}: {reasons:?}");
        stage.stop().await;
    }
}

/// After a rotation: the order of a tenant's keys says which wraps and which names people, and cannot be edited.
///
/// Proves: VA11, VA5
#[tokio::test]
async fn va11_va5_tenant_keys_in_another_order_serve_nobody() {
    let stage = stage().await;
    rotate(&stage.world).await;
    let swapped = "UPDATE tenant_keys SET created_at = (SELECT sum(created_at) FROM tenant_keys WHERE tenant = 'company') - created_at
         WHERE tenant = 'company'";
    let edit = async |database: &mut Database| database.edit(swapped).await;
    let stage = stage.restart(edit).await.expect("the system key is untouched");
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "AUDIT_UNAVAILABLE");
    stage.stop().await;
}
