//! A consent beside a connection of the same person that goes on: what it brings, or replaces, does that one no harm.

use super::step_up::{WRITE, revoked, stands, state, to_confirmation, with};
use broker::audit::Deadline;
use broker::domain::{
    ConnectionId, Entry, EventDraft, EventId, EventKind, Outcome, SecretKind, SecretRow, SystemRng, TenantId,
    Write,
};
use broker::worker;
use broker_client::proto::ConsentState;
use broker_client::{ConsentRequired, Grant};
use broker_tests::stage::{READ, READ_WRITE, Stage};
use demo::browser::Page;
use demo::saas::{ExpiresIn, Fault};
use demo::walk;
use demo::world::{ALICE, Options, Workload::ReportWriter, Workload::TicketHelper};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard};

/// A SaaS at which revoking any token may end everything.
fn ends_everything() -> Options {
    let amend: fn(String) -> String = |c| c.replace("    revocation_ends: own_authorization\n", "");
    Options { amend_config: Some(Box::new(amend)), ..Options::default() }
}

/// Two servers' links for one person who has no connection.
async fn two(stage: &Stage) -> [ConsentRequired; 2] {
    [stage.consent(&ALICE, TicketHelper, READ).await, stage.consent(&ALICE, ReportWriter, WRITE).await]
}

async fn told(stage: &Stage) -> Vec<String> {
    let events = stage.database().await.events().await;
    let results = events.iter().filter(|event| event.kind == "provider_revocation.result");
    results.map(|event| event.text("/detail/at_provider").to_owned()).collect()
}

fn connection(grant: &Grant) -> ConnectionId {
    ConnectionId::parse(&grant.connection_id).expect("an id")
}

/// Neither of two consents knew of a connection when it was asked for; one made it, and the other ends with tokens that nobody owns.
/// Proves: CO9, CO12
#[tokio::test]
async fn co9_a_consent_that_knew_of_no_connection_ends_none_either() {
    for how in ["narrower", "rejected", "expired"] {
        let stage = Stage::with(ends_everything()).await;
        let [first, second] = two(&stage).await;
        let page = to_confirmation(&stage, &second).await;
        stage.walk(&ALICE, &first).await;
        let held = stage.grant(&ALICE, TicketHelper, READ).await;
        match how {
            "narrower" => drop(walk::confirm(page).await.expect("answered")),
            "rejected" => {
                let form = page.form("/reject").expect("the way out");
                form.submit("Do not attach it").await.expect("rejected");
            }
            _ => stage.clock.advance(Duration::from_secs(601)),
        }
        for _ in 0..2 {
            worker::round(stage.world.rooms()).await;
        }
        let ended = ended_as(&stage, &second).await;
        assert!(
            matches!(ended, ConsentState::Failed | ConsentState::Declined | ConsentState::Expired),
            "{how}"
        );
        assert!(revoked(&stage).is_empty(), "{how}");
        assert_eq!(told(&stage).await, ["kept_for_its_connection"], "{how}");
        let after = stage.grant(&ALICE, TicketHelper, READ).await;
        assert_eq!(after.connection_id, held.connection_id, "{how}");
        assert!(stage.facts(&after).live, "{how}");
        stage.stop().await;
    }
}

async fn ended_as(stage: &Stage, consent: &ConsentRequired) -> ConsentState {
    let found = stage.client(ReportWriter).get_consent(&consent.consent_id, None).await;
    found.expect("the consent").state()
}

/// Lets a person allow while the SaaS takes its time, and does something meanwhile.
async fn exchanging(stage: &Stage, consent: &ConsentRequired, edit: &str) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("the link opens");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    let page = walk::approve(page).await.expect("approved");
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
    let mut database = stage.database().await;
    let meanwhile = async {
        let state = format!("SELECT state FROM consents WHERE id = '{}'", consent.consent_id);
        while database.text(&state).await != "exchanging" {
            tokio::task::yield_now().await;
        }
        database.run(edit).await;
        release.notify_one();
    };
    let (page, ()) = tokio::join!(walk::allow(page, &ALICE.notes), meanwhile);
    page.expect("a page")
}

/// What this process alone holds is no exception.
/// Proves: CO9
#[tokio::test]
async fn co9_what_no_row_can_hold_is_not_revoked_beside_a_connection() {
    let stage = Stage::with(ends_everything()).await;
    let [first, second] = two(&stage).await;
    stage.walk(&ALICE, &first).await;
    let held = stage.grant(&ALICE, TicketHelper, READ).await;
    let edit = "UPDATE consents SET mismatches = mismatches + 1 WHERE state = 'exchanging'";
    let page = exchanging(&stage, &second, edit).await;
    assert!((400..600).contains(&page.status), "{}", page.describe());
    assert!(revoked(&stage).is_empty());
    assert_eq!(told(&stage).await, ["kept_for_its_connection"]);
    stands(&stage, &held, "after an edit").await;
    stage.stop().await;
}

/// The code is spent and the tokens are here: what cannot be read at that moment does not lose them.
/// Proves: CO9, CO11
#[tokio::test]
async fn co9_what_came_is_kept_while_the_connections_cannot_be_read() {
    let stage = Stage::start().await;
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    exchanging(&stage, &consent, "ALTER TABLE connections RENAME TO elsewhere").await;
    stage.database().await.run("ALTER TABLE elsewhere RENAME TO connections").await;
    assert_eq!(state(&stage, &consent).await, ConsentState::AwaitingConfirmation);
    assert!(revoked(&stage).is_empty());
    stage.stop().await;
}

/// Two confirmations of one account wait for the same turn, the wider first.
/// Proves: CO9, CO10
#[tokio::test]
async fn co9_a_narrower_confirmation_that_comes_second_takes_nothing_away() {
    let (stage, held, wide) = with(Options::default()).await;
    let narrow = stage.consent(&ALICE, ReportWriter, READ_WRITE).await;
    let wide = to_confirmation(&stage, &wide).await;
    // Only the first of both: as much as stands now.
    stage.world.notes().script(Fault::FewerScopes, 1);
    let narrow = to_confirmation(&stage, &narrow).await;

    let turn = stage.world.rooms().tokens.turn(&connection(&held)).await;
    let waiting = async |several: usize| {
        while Arc::strong_count(OwnedMutexGuard::mutex(&turn)) <= several {
            tokio::task::yield_now().await;
        }
    };
    let wide = tokio::spawn(walk::confirm(wide));
    waiting(1).await;
    let narrow = tokio::spawn(walk::confirm(narrow));
    waiting(2).await;
    drop(turn);
    wide.await.expect("runs").expect("confirmed");
    let page = narrow.await.expect("runs").expect("answered");
    assert!(page.text().contains("Too little was granted"), "{}", page.describe());
    let both = stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(both.connection_id, held.connection_id);
    assert_eq!(stage.facts(&both).scopes, READ_WRITE);
    stage.stop().await;
}

const LONG_LIVED: &str = r#"
@id("long-lived-notes") @max_ttl("15m") @long_lived("allow")
permit (principal is Broker::Subject, action == Broker::Action::"issue", resource is Broker::Scope)
when { principal.roles.contains("notes-users") };
"#;

/// A token that was handed out and may never end was promised for ever.
/// Proves: CO9
#[tokio::test]
async fn co9_what_was_handed_out_without_an_end_is_not_ended() {
    let never: fn(String) -> String = |c| {
        c.replace("rotation: family_revoking", "rotation: family_revoking\n    tokens_never_expire: true")
    };
    let options = Options {
        extra_policy: LONG_LIVED.to_owned(),
        amend_config: Some(Box::new(never)),
        ..Options::default()
    };
    let stage = Stage::with(options).await;
    stage.world.notes().script(Fault::ExpiresIn(ExpiresIn::Absent), 1);
    let held = stage.connect(&ALICE, TicketHelper, READ).await;
    assert!(held.token_expire_time.is_none(), "its end is not known");
    let wider = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    stage.walk(&ALICE, &wider).await;
    worker::round(stage.world.rooms()).await;
    assert!(stage.facts(&held).live);
    stage.clock.advance(Duration::from_secs(24 * 3600));
    worker::round(stage.world.rooms()).await;
    assert!(revoked(&stage).is_empty());
    stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    stage.stop().await;
}

/// A refresh token that opens for nobody is what a step-up mends.
/// Proves: CO9, VA9
#[tokio::test]
async fn co9_a_refresh_token_that_does_not_open_is_replaced() {
    let (stage, held, wider) = with(Options::default()).await;
    misplace_refresh(&stage, &held).await;
    stage.walk(&ALICE, &wider).await;
    let both = stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(both.connection_id, held.connection_id);
    stage.clock.advance(Duration::from_secs(24 * 3600));
    worker::round(stage.world.rooms()).await;
    assert!(revoked(&stage).is_empty(), "there is nothing to revoke with");
    stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    stage.stop().await;
}

/// The row is authentic, and what is in it was sealed for another generation.
async fn misplace_refresh(stage: &Stage, held: &Grant) {
    let (rooms, mut effect) = (stage.world.rooms(), Vec::new());
    let key = rooms.row_key();
    for found in rooms.store.connections.secrets(&connection(held)).await.expect("the rows") {
        let row = found.expect("readable").check(&key).expect("authentic");
        if row.kind == SecretKind::Refresh {
            effect.push(Write::PutSecret(key.tag(SecretRow { generation: row.generation + 1, ..row })));
        }
    }
    assert_eq!(effect.len(), 1);
    let id = EventId::random(&SystemRng::default());
    let mut draft = EventDraft::new(id, EventKind::ProviderRevoked, Outcome::Allowed);
    draft.tenant = Some(TenantId::parse("company").expect("a tenant"));
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await.expect("written");
}

/// No connection yet, and two consents whose tokens wait for an answer: rejecting one must not end what the other holds.
/// Proves: CO9, CO12
#[tokio::test]
async fn co9_of_two_that_wait_the_rejected_one_ends_nothing_of_the_other() {
    let stage = Stage::with(ends_everything()).await;
    let [first, second] = two(&stage).await;
    let (waits, rejected) = (to_confirmation(&stage, &first).await, to_confirmation(&stage, &second).await);
    let form = rejected.form("/reject").expect("the way out");
    form.submit("Do not attach it").await.expect("rejected");
    worker::round(stage.world.rooms()).await;
    assert_eq!(ended_as(&stage, &second).await, ConsentState::Declined);
    assert!(revoked(&stage).is_empty());
    assert_eq!(told(&stage).await, ["kept_for_its_connection"]);
    walk::confirm(waits).await.expect("confirmed");
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert!(stage.facts(&grant).live, "what was confirmed works");
    stage.stop().await;

    // The last one that waits for an answer has nobody to spare.
    let stage = Stage::with(ends_everything()).await;
    let [first, second] = two(&stage).await;
    for consent in [&first, &second] {
        let page = to_confirmation(&stage, consent).await;
        let form = page.form("/reject").expect("the way out");
        form.submit("Do not attach it").await.expect("rejected");
        worker::round(stage.world.rooms()).await;
    }
    assert_eq!(revoked(&stage).len(), 2);
    stage.stop().await;
}
