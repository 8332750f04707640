//! Edits of `consents`: an edited attempt leads nowhere, whoever opens it.

use broker::worker;
use broker_client::ConsentRequired;
use broker_tests::database::Database;
use broker_tests::stage::{READ, READ_WRITE, Stage, refused, subject_of};
use demo::browser::Page;
use demo::saas::Rotation;
use demo::walk;
use demo::world::{ALICE, BOB, Options, Person, Workload::ReportWriter, Workload::TicketHelper};
use std::time::Duration;

async fn count(database: &mut Database) -> String {
    database
        .text("SELECT (SELECT count(*) FROM connections) || ' ' || (SELECT count(*) FROM approvals)")
        .await
}

/// Opens the link signed in as `person`, as far as the page lets them.
async fn open(stage: &Stage, person: &Person, consent: &ConsentRequired) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("a page");
    walk::sign_in(page, &person.sso).await.expect("signed in")
}

/// Proves: VA11, CO2
#[tokio::test]
async fn an_edited_pending_consent_can_be_approved_by_nobody() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let bobs = stage.connect(&BOB, TicketHelper, READ).await.connection_id;
    let consent = stage.consent(&ALICE, ReportWriter, READ).await;
    let mut database = stage.database().await;
    database.save().await;
    let before = count(&mut database).await;
    let id = &consent.consent_id;
    let sub = subject_of(&BOB);
    for edit in [
        format!("subject = '{sub}'"),
        format!("subject = '{sub}', connection = '{bobs}'"),
        format!("connection = '{bobs}'"),
        "realm = 'cluster'".to_owned(),
        "tenant = 'elsewhere'".to_owned(),
        "scopes = 'notes.read notes.write'".to_owned(),
        "provider_scopes = 'notes.write'".to_owned(),
        "workload = 'ticket-helper'".to_owned(),
        "provider = 'elsewhere'".to_owned(),
        "reason = 'NOT_CONNECTED'".to_owned(),
        "tool = 'something harmless'".to_owned(),
        "purpose = ''".to_owned(),
        "state = 'completed', result_connection = connection".to_owned(),
        "state = 'expired'".to_owned(),
        "expires_at = expires_at + 86400000000".to_owned(),
        "created_at = 0".to_owned(),
        "version = version + 1".to_owned(),
        "born_epoch = 1000000".to_owned(),
        "mismatches = -1000".to_owned(),
        "mac = zeroblob(50)".to_owned(),
    ] {
        database.edit(&format!("UPDATE consents SET {edit} WHERE id = '{id}'")).await;
        for person in [&ALICE, &BOB] {
            let page = open(&stage, person, &consent).await;
            assert!(page.form("/approve").is_err(), "{edit}: {}", page.text());
            assert!((400..600).contains(&page.status), "{edit}: {}", page.text());
        }
        assert_eq!(count(&mut database).await, before, "{edit}");
        database.restore().await;
    }
    let page = stage.walk(&ALICE, &consent).await;
    assert_eq!(page.status, 200);
    stage.grant(&ALICE, ReportWriter, READ).await;
    stage.stop().await;
}

/// Proves: VA11, CO12
#[tokio::test]
async fn a_consent_that_is_over_does_not_come_back_by_an_edit() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    stage.clock.advance(Duration::from_secs(3600));
    let page = open(&stage, &ALICE, &consent).await;
    assert!(page.form("/approve").is_err(), "{}", page.text());
    assert_eq!(database.text("SELECT state FROM consents").await, "expired");
    for edit in ["state = 'pending'", "state = 'pending', expires_at = expires_at + 86400000000"] {
        database.edit(&format!("UPDATE consents SET {edit}")).await;
        let page = open(&stage, &ALICE, &consent).await;
        assert!(page.form("/approve").is_err(), "{edit}: {}", page.text());
    }
    assert_eq!(count(&mut database).await, "0 0");
    stage.stop().await;
}

/// What waits for alice's confirmation is edited while she looks at it.
///
/// Proves: VA11, CO11
#[tokio::test]
async fn what_waits_for_confirmation_cannot_be_exchanged() {
    let stage = Stage::start().await;
    stage.world.notes().set_rotation(Rotation::None);
    let mut waiting = Vec::new();
    for person in [&BOB, &ALICE] {
        let consent = stage.consent(person, TicketHelper, READ).await;
        let page = walk::approve(open(&stage, person, &consent).await).await.expect("approved");
        let page = walk::allow(page, &person.notes).await.expect("allowed");
        assert!(page.text().contains(person.notes.name), "{}", page.text());
        waiting.push((consent, page));
    }
    let [(bobs, _), (alices, page)] = &waiting[..] else { panic!("two wait") };
    let mut database = stage.database().await;
    database.save().await;
    let (alices, bobs) = (&alices.consent_id, &bobs.consent_id);
    let other = |columns: &str| format!("({columns}) = (SELECT {columns} FROM consents WHERE id = '{bobs}')");
    for edit in [
        other("obtained_access, obtained_refresh"),
        other("obtained_access, obtained_refresh, obtained_account_id, obtained_account_label, mac"),
        "obtained_account_id = 'acct-1002'".to_owned(),
        "obtained_account_label = 'bob@notes.example'".to_owned(),
        "obtained_scopes = 'notes.read notes.write'".to_owned(),
        "obtained_access_expires_at = NULL".to_owned(),
        "obtained_refresh = NULL".to_owned(),
        "browser_hash = zeroblob(32)".to_owned(),
        "scopes = 'notes.read notes.write'".to_owned(),
        "workload = 'report-writer'".to_owned(),
        format!("subject = '{}'", subject_of(&BOB)),
    ] {
        database.edit(&format!("UPDATE consents SET {edit} WHERE id = '{alices}'")).await;
        let after = walk::confirm(page.clone()).await.expect("a page");
        assert!((400..600).contains(&after.status), "{edit}: {}", after.text());
        assert_eq!(count(&mut database).await, "0 0", "{edit}");
        database.restore().await;
    }
    assert_eq!(walk::confirm(page.clone()).await.expect("confirmed").status, 200);
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(stage.facts(&grant).account, "acct-1001");
    stage.stop().await;
}

/// An open consent that is edited gives way at once: a new link for the same need, which works; the old one leads nowhere.
///
/// Proves: VA9, VA11, CO1
#[tokio::test]
async fn va9_a_need_whose_open_consent_is_quarantined_gets_a_new_link_at_once() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let mut database = stage.database().await;
    let mut old = stage.consent(&ALICE, ReportWriter, READ).await;
    for edit in [
        "mac = zeroblob(50)",
        "mac = x''",
        "version = version + 7",
        "expires_at = expires_at + 86400000000",
        "tool = 'something harmless'",
        "connection = 'con_'",
        "reason = 'banana'",
        "provider_scopes = 'b a'",
        "tool = CAST(x'ff' AS TEXT)",
        "failure = 'NO_SUCH'",
        "state_hash = x'00'",
        "browser_hash = x'00'",
        "pkce_verifier = x'00'",
        "obtained_access = x'00'",
        "result_connection = 'con_'",
        "state = 'approved'",
        "id = 'nonsense'",
    ] {
        database.edit(&format!("UPDATE consents SET {edit} WHERE id = '{}'", old.consent_id)).await;
        let new = stage.consent(&ALICE, ReportWriter, READ).await;
        assert_ne!(new.consent_id, old.consent_id, "{edit}");
        assert_ne!(new.url.expose(), old.url.expose(), "{edit}");
        let event = database.last_event().await;
        let logged = (event.outcome.as_str(), event.reason.as_str());
        assert_eq!(logged, ("consent_required", "RECORD_QUARANTINED"), "{edit}");
        assert_eq!(event.text("/consent"), new.consent_id, "{edit}");
        let page = open(&stage, &ALICE, &old).await;
        assert!((400..600).contains(&page.status), "{edit}: {}", page.text());
        assert_eq!(stage.consent(&ALICE, ReportWriter, READ).await.consent_id, new.consent_id, "{edit}");
        old = new;
    }
    let kept = "SELECT count(*) FROM consents WHERE pkce_verifier IS NOT NULL OR obtained_access IS NOT NULL";
    assert_eq!(database.text(kept).await, "0", "nothing sealed is kept of what is set aside");
    assert_eq!(stage.walk(&ALICE, &old).await.status, 200);
    stage.grant(&ALICE, ReportWriter, READ).await;
    stage.stop().await;
}

/// More of them than one round takes, all overdue, do not keep the sweep from a consent that is only late.
///
/// Proves: VA9, CO12
#[tokio::test]
async fn va9_quarantined_consents_never_stop_the_sweep_over_others() {
    let stage = Stage::start().await;
    let late = stage.consent(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let columns = database.text("SELECT group_concat(name) FROM pragma_table_info('consents')").await;
    let copied = columns
        .replace("state_hash", "NULL")
        .replacen("id,handle_hash", "'cns_' || n, randomblob(32)", 1)
        .replace(",expires_at", ",expires_at - n")
        .replace(",reason", ",CASE n % 2 WHEN 0 THEN 'banana' ELSE reason END");
    database
        .edit(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 150)
             INSERT INTO consents ({columns}) SELECT {copied} FROM consents, numbers"
        ))
        .await;
    stage.clock.advance(Duration::from_secs(3600));
    for _ in 0..2 {
        worker::round(stage.world.rooms()).await;
    }
    let state = format!("SELECT state FROM consents WHERE id = '{}'", late.consent_id);
    assert_eq!(database.text(&state).await, "expired");
    assert_eq!(database.text("SELECT count(*) FROM consents WHERE state = 'set_aside'").await, "150");
    let failed: Vec<_> =
        database.events().await.into_iter().filter(|event| event.kind == "consent.failed").collect();
    assert_eq!(failed.len(), 150, "each is on record");
    assert!(failed.iter().all(|event| event.reason == "RECORD_QUARANTINED"));
    stage.stop().await;
}

async fn with_at_most(open: u32) -> Stage {
    let extra_config = format!("consent: {{ max_open_per_subject: {open} }}\n");
    Stage::with(Options { extra_config, ..Options::default() }).await
}

/// Whoever edits a person's open consents, or adds to them, keeps no other need from its link.
///
/// Proves: VA9, CO1
#[tokio::test]
async fn va9_edited_consents_use_up_nothing_of_what_a_person_may_have_open() {
    let stage = with_at_most(2).await;
    for workload in [TicketHelper, ReportWriter] {
        stage.consent(&ALICE, workload, READ).await;
    }
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ_WRITE).await), "TOO_MANY_CONSENTS");
    let mut database = stage.database().await;
    database.edit("UPDATE consents SET expires_at = 9000000000000000000").await;
    stage.clock.advance(Duration::from_secs(3600));
    let consent = stage.consent(&ALICE, ReportWriter, READ).await;
    let event = database.last_event().await;
    assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("consent_required", "RECORD_QUARANTINED"));
    let set_aside = "SELECT count(*) FROM consents WHERE state = 'set_aside'";
    assert_eq!(database.text(set_aside).await, "2");

    // Nor do far more of them than are read at once; and what is authentic goes on counting.
    let columns = database.text("SELECT group_concat(name) FROM pragma_table_info('consents')").await;
    let copied = columns.replacen("id,handle_hash", "'cns_' || n, randomblob(32)", 1);
    database
        .edit(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 250)
             INSERT INTO consents ({columns}) SELECT {copied} FROM consents, numbers WHERE id = '{}'",
            consent.consent_id
        ))
        .await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    assert!((102..200).contains(&database.text(set_aside).await.parse().expect("a number")));
    for _ in 0..3 {
        stage.consent(&ALICE, ReportWriter, READ).await;
    }
    assert_eq!(
        database.text(set_aside).await,
        "252",
        "asking again for a need takes those aside that say they are for it"
    );
    assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ_WRITE).await), "TOO_MANY_CONSENTS");
    assert_eq!(stage.walk(&ALICE, &consent).await.status, 200);
    stage.consent(&ALICE, ReportWriter, READ_WRITE).await;
    stage.stop().await;
}

/// A try that loses a race is on record, and what becomes of the call afterwards is on record beside it.
///
/// Proves: AU1, AU2, CO1
#[tokio::test]
async fn au1_what_follows_a_lost_race_is_an_event_of_its_own() {
    let stage = with_at_most(1).await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let before = database.events().await.len();
    // As if another replica had opened a consent between the count and the commit.
    database.edit("UPDATE consents SET state = 'completed'").await;
    for trigger in [
        "lost BEFORE INSERT ON consents BEGIN SELECT RAISE(IGNORE); END",
        "others AFTER INSERT ON audit_events BEGIN UPDATE consents SET state = 'pending'; END",
    ] {
        database.run(&format!("CREATE TRIGGER {trigger}")).await;
    }
    assert_eq!(refused(stage.ask(&ALICE, ReportWriter, READ).await), "TOO_MANY_CONSENTS");
    let events = database.events().await.split_off(before);
    let said: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.reason.as_str())).collect();
    assert_eq!(said, [("grant.issue", "CONFLICT"), ("grant.issue", "TOO_MANY_CONSENTS")]);
    assert_ne!(events[0].text("/id"), events[1].text("/id"));
    stage.stop().await;
}
