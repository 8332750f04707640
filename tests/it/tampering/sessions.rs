//! Edits of `web_sessions`: a session that fails its check is none.

use broker_tests::stage::{READ, Stage, subject_of};
use demo::browser::{Browser, Page};
use demo::walk;
use demo::world::{ALICE, BOB, Workload::TicketHelper};
use std::time::Duration;

async fn connections(stage: &Stage, browser: &Browser) -> Page {
    browser.get(&format!("{}/connections", stage.world.web_url())).await.expect("a page")
}

/// alice's browser, signed in; a click at the SSO may come before.
async fn signed_in(stage: &Stage) -> Browser {
    let browser = stage.world.browser().expect("a browser");
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    let page = walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await;
    assert_eq!(page.expect("connected").status, 200);
    // From now on nobody vouches for the browser but the session's row.
    browser.hold_before(Some(stage.world.sso().issuer()));
    let page = connections(stage, &browser).await;
    assert!(page.text().contains(ALICE.notes.name), "{}", page.text());
    browser
}

fn shows_nothing(page: &Page, edit: &str) {
    for name in [ALICE.notes.name, BOB.notes.name] {
        assert!(!page.text().contains(name), "{edit}: {}", page.text());
    }
    assert!(page.form("/disconnect").is_err(), "{edit}");
}

/// Proves: VA11, CO16
#[tokio::test]
async fn an_edited_session_is_none() {
    let stage = Stage::start().await;
    stage.connect(&BOB, TicketHelper, READ).await;
    let browser = signed_in(&stage).await;
    let mut database = stage.database().await;
    database.save().await;
    let sub = subject_of(&BOB);
    for edit in [
        format!("subject = '{sub}', version = version + 1"),
        format!("subject = '{sub}'"),
        "realm = 'cluster'".to_owned(),
        "tenant = 'elsewhere'".to_owned(),
        "label = 'bob'".to_owned(),
        "issuer = 'https://elsewhere.example'".to_owned(),
        "sid = 'other'".to_owned(),
        "expires_at = expires_at + 86400000000".to_owned(),
        "created_at = created_at + 1".to_owned(),
        "version = version + 1".to_owned(),
        "mac = zeroblob(50)".to_owned(),
    ] {
        let alices = format!("UPDATE web_sessions SET {edit} WHERE subject = '{}'", subject_of(&ALICE));
        database.edit(&alices).await;
        shows_nothing(&connections(&stage, &browser).await, &edit);
        database.restore().await;
        assert!(connections(&stage, &browser).await.text().contains(ALICE.notes.name), "{edit}");
    }
    stage.stop().await;
}

/// Proves: VA11, CO16
#[tokio::test]
async fn a_session_that_is_over_does_not_come_back_by_an_edit() {
    let stage = Stage::start().await;
    let browser = signed_in(&stage).await;
    let mut database = stage.database().await;
    database.save().await;
    let page = connections(&stage, &browser).await;
    let form = page.forms().into_iter().find(|form| form.buttons().iter().any(|b| b.contains("Sign out")));
    form.expect("a way out").submit("Sign out").await.expect("signed out");
    assert_eq!(database.text("SELECT ended FROM web_sessions").await, "1");
    database.edit("UPDATE web_sessions SET ended = 0").await;
    shows_nothing(&connections(&stage, &browser).await, "ended");

    database.restore().await;
    stage.clock.advance(Duration::from_secs(9 * 3600));
    let later = "last_seen_at = last_seen_at + 32400000000";
    database.edit(&format!("UPDATE web_sessions SET {later}, expires_at = expires_at + 86400000000")).await;
    shows_nothing(&connections(&stage, &browser).await, "expires_at");
    stage.stop().await;
}
