//! Tokens that a consent obtained and nobody will own are revoked at the SaaS, whatever dies in between.

use broker::worker;
use broker_client::ConsentRequired;
use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage};
use demo::browser::Page;
use demo::saas::{Endpoint, Event, Fault, RevokedKind};
use demo::walk;
use demo::world::{ALICE, Workload::TicketHelper};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Families that the broker ended, each as often as it did.
fn ended(stage: &Stage) -> Vec<u64> {
    let events = stage.world.notes().truth().into_iter();
    events
        .filter_map(|event| match event {
            Event::Revoked { family, kind: RevokedKind::Family } => Some(family),
            _ => None,
        })
        .collect()
}

/// Families that came to be.
fn issued(stage: &Stage) -> Vec<u64> {
    let events = stage.world.notes().truth().into_iter();
    events
        .filter_map(|event| match event {
            Event::TokensIssued { family, .. } => Some(family),
            _ => None,
        })
        .collect()
}

/// Sealed tokens in consents, and what waits in the queue.
async fn kept(database: &mut Database) -> (String, String) {
    let sealed = "SELECT count(obtained_refresh) + count(obtained_access) FROM consents";
    (database.text(sealed).await, database.text("SELECT count(*) FROM provider_revocations").await)
}

fn none() -> (String, String) {
    ("0".to_owned(), "0".to_owned())
}

async fn results(database: &mut Database) -> Vec<String> {
    let events = database.events().await;
    let results = events.iter().filter(|event| event.kind == "provider_revocation.result");
    results.map(|event| event.text("/detail/at_provider").to_owned()).collect()
}

async fn state(stage: &Stage, consent: &ConsentRequired) -> String {
    let sql = format!("SELECT state FROM consents WHERE id = '{}'", consent.consent_id);
    stage.database().await.text(&sql).await
}

async fn approved(stage: &Stage, consent: &ConsentRequired) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("a page");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    walk::approve(page).await.expect("approved")
}

/// As far as the question whether the account is right.
async fn to_confirmation(stage: &Stage, consent: &ConsentRequired) -> Page {
    walk::allow(approved(stage, consent).await, &ALICE.notes).await.expect("allowed")
}

async fn reject(page: &Page) {
    let form = page.form("/reject").expect("the way out");
    assert_eq!(form.submit("Do not attach it").await.expect("answers").status, 200);
}

/// The SaaS does not answer while the broker runs; then the broker is gone.
///
/// Proves: RV1, CO11
#[tokio::test]
async fn rv1_what_a_rejected_consent_obtained_is_revoked_after_a_restart() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    let page = to_confirmation(&stage, &consent).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
    reject(&page).await;
    let mut between = (String::new(), String::new());
    let stage = stage.restart(async |database| between = kept(database).await).await.expect("starts again");
    assert_eq!(between, ("2".to_owned(), "1".to_owned()), "sealed and queued with the answer that ended it");
    for _ in 0..3 {
        stage.clock.advance(Duration::from_secs(120));
        worker::round(stage.world.rooms()).await;
    }
    assert_eq!(ended(&stage), issued(&stage), "once");
    let mut database = stage.database().await;
    assert_eq!(kept(&mut database).await, none());
    assert_eq!(results(&mut database).await.last().map(String::as_str), Some("revoked"));
    assert_eq!(state(&stage, &consent).await, "declined");
    stage.stop().await;
}

/// Proves: RV1, CO12
#[tokio::test]
async fn rv1_a_provider_that_is_down_when_a_consent_expires_is_told_later() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    to_confirmation(&stage, &consent).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Refuse(503, "temporarily_unavailable"), 2);
    stage.clock.advance(Duration::from_secs(601));
    for _ in 0..4 {
        worker::round(stage.world.rooms()).await;
        stage.clock.advance(Duration::from_secs(120));
    }
    assert_eq!(ended(&stage), issued(&stage));
    let mut database = stage.database().await;
    assert_eq!(results(&mut database).await, ["failed_will_retry", "failed_will_retry", "revoked"]);
    assert_eq!((state(&stage, &consent).await.as_str(), kept(&mut database).await), ("expired", none()));
    stage.stop().await;
}

/// A provider that never comes back is given up, on record, and nothing sealed is kept for it.
///
/// Proves: RV1
#[tokio::test]
async fn rv1_a_provider_that_never_answers_is_given_up_after_about_a_week() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    let page = to_confirmation(&stage, &consent).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1000);
    reject(&page).await;
    let mut database = stage.database().await;
    for day in 0.. {
        worker::round(stage.world.rooms()).await;
        if kept(&mut database).await == none() {
            assert!((5..=10).contains(&(day / 4)), "after {day} quarters of a day");
            break;
        }
        assert!(day < 100, "never given up");
        stage.clock.advance(Duration::from_secs(6 * 3600));
    }
    let results = results(&mut database).await;
    assert_eq!(results.last().map(String::as_str), Some("given_up"));
    assert!(results[..results.len() - 1].iter().all(|result| result == "failed_will_retry"), "{results:?}");
    assert!(ended(&stage).is_empty());
    stage.stop().await;
}

/// The SaaS issues tokens, and its answer cannot be used.
///
/// Proves: RV1, CO12
#[tokio::test]
async fn rv1_tokens_in_an_answer_that_cannot_be_used_are_revoked() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    stage.world.notes().script(Fault::NotBearer, 1);
    let page = to_confirmation(&stage, &consent).await;
    assert!(page.form("/confirm").is_err(), "{}", page.text());
    assert_eq!(state(&stage, &consent).await, "failed");
    worker::round(stage.world.rooms()).await;
    assert_eq!((ended(&stage).len(), ended(&stage)), (1, issued(&stage)));
    assert_eq!(kept(&mut stage.database().await).await, none());
    // The person begins anew.
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// While a code is being exchanged for longer than anything takes, its person is told how to go on, and can; what comes
/// for it after all is revoked.
///
/// Proves: CO12, RV1
#[tokio::test]
async fn co12_an_exchange_that_never_ends_is_over_within_a_minute() {
    let stage = Stage::start().await;
    let old = stage.consent(&ALICE, TicketHelper, READ).await;
    let page = approved(&stage, &old).await;
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
    let hanging = walk::allow(page, &ALICE.notes);
    let meanwhile = async {
        while state(&stage, &old).await != "exchanging" {
            tokio::task::yield_now().await;
        }
        worker::round(stage.world.rooms()).await;
        assert_eq!(state(&stage, &old).await, "exchanging", "not before its time");
        stage.clock.advance(Duration::from_secs(55));
        let new = stage.consent(&ALICE, TicketHelper, READ).await;
        assert_ne!(new.consent_id, old.consent_id);
        worker::round(stage.world.rooms()).await;
        assert_eq!(state(&stage, &old).await, "expired");
        release.notify_one();
        new
    };
    let (page, new) = tokio::join!(hanging, meanwhile);
    let page = page.expect("a page");
    assert!(page.text().contains("ask your assistant to do the task once more"), "{}", page.text());
    worker::round(stage.world.rooms()).await;
    assert_eq!((ended(&stage).len(), ended(&stage)), (1, issued(&stage)));
    assert_eq!(kept(&mut stage.database().await).await, none());
    stage.walk(&ALICE, &new).await;
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// Whoever edits, puts back or removes the row of a consent while its code is being exchanged makes nobody a token that
/// lives on unknown: what came is revoked at once, from memory, on record.
///
/// Proves: RV1, VA9, CO12
#[tokio::test]
async fn rv1_what_comes_for_a_consent_that_was_edited_meanwhile_is_revoked_at_once() {
    for edit in [
        "UPDATE consents SET mac = zeroblob(50)",
        "",
        "UPDATE consents SET reason = 'banana'",
        "DELETE FROM consents",
    ] {
        let stage = Stage::start().await;
        let consent = stage.consent(&ALICE, TicketHelper, READ).await;
        let page = approved(&stage, &consent).await;
        let mut database = stage.database().await;
        database.save().await;
        let release = Arc::new(Notify::new());
        stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
        // The first time, the SaaS cannot be told.
        stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
        let meanwhile = async {
            while state(&stage, &consent).await != "exchanging" {
                tokio::task::yield_now().await;
            }
            match edit {
                "" => database.restore().await,
                edit => database.edit(edit).await,
            }
            release.notify_one();
        };
        let (page, ()) = tokio::join!(walk::allow(page, &ALICE.notes), meanwhile);
        assert!((400..600).contains(&page.expect("a page").status), "{edit}");
        assert_eq!((ended(&stage).len(), ended(&stage)), (1, issued(&stage)), "{edit}");
        assert_eq!(results(&mut database).await, ["revoked"], "{edit}");
        let events = database.events().await;
        let failed = events.iter().find(|event| event.kind == "consent.failed").expect("on record");
        assert_eq!(
            (failed.reason.as_str(), failed.text("/consent")),
            ("RECORD_QUARANTINED", consent.consent_id.as_str())
        );
        let granted = "SELECT (SELECT count(*) FROM connections) + (SELECT count(*) FROM approvals)";
        assert_eq!(database.text(granted).await, "0", "{edit}");
        stage.stop().await;
    }
}

/// Nor does it help to keep the row from changing: what cannot be stored for a minute is revoked then.
///
/// Proves: RV1, CO12
#[tokio::test]
async fn rv1_what_comes_for_a_consent_that_is_held_fast_is_revoked_after_a_minute() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    let page = approved(&stage, &consent).await;
    let mut database = stage.database().await;
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
    let meanwhile = async {
        while state(&stage, &consent).await != "exchanging" {
            tokio::task::yield_now().await;
        }
        database.run("CREATE TRIGGER fast BEFORE UPDATE ON consents BEGIN SELECT RAISE(IGNORE); END").await;
        release.notify_one();
        let refused = "SELECT count(*) FROM audit_events WHERE reason = 'CONFLICT'";
        while database.text(refused).await == "0" {
            tokio::task::yield_now().await;
        }
        assert!(ended(&stage).is_empty(), "it may be a stranger's visit");
        stage.clock.advance(Duration::from_secs(61));
    };
    let (page, ()) = tokio::join!(walk::allow(page, &ALICE.notes), meanwhile);
    assert!((400..600).contains(&page.expect("a page").status));
    assert_eq!((ended(&stage).len(), ended(&stage)), (1, issued(&stage)));
    assert_eq!(results(&mut database).await, ["revoked"]);
    stage.stop().await;
}
