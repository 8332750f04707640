//! Widening a connection that is in use: it goes on as it is until the wider one stands, and then nothing of it is lost.

use broker::worker;
use broker_client::proto::{ConsentReason, ConsentState};
use broker_client::{ConsentRequired, Grant};
use broker_tests::stage::{READ, READ_WRITE, Stage};
use broker_tests::walk::words;
use demo::browser::Page;
use demo::saas::{Endpoint, Event, Fault, RevokedKind};
use demo::walk;
use demo::world::{ALICE, Options, Workload::ReportWriter, Workload::TicketHelper};
use std::time::Duration;

pub(super) const WRITE: &[&str] = &["notes.write"];

/// alice reads; the same server now asks for writing too.
async fn pending() -> (Stage, Grant, ConsentRequired) {
    with(Options::default()).await
}

pub(super) async fn with(options: Options) -> (Stage, Grant, ConsentRequired) {
    let stage = Stage::with(options).await;
    let held = stage.connect(&ALICE, TicketHelper, READ).await;
    let wider = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(wider.reason, ConsentReason::ScopesMissing);
    (stage, held, wider)
}

/// The page on which she is asked.
async fn asked(stage: &Stage, consent: &ConsentRequired) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("the link opens");
    walk::sign_in(page, &ALICE.sso).await.expect("signed in")
}

/// As far as the question whether the account is right.
pub(super) async fn to_confirmation(stage: &Stage, consent: &ConsentRequired) -> Page {
    let page = walk::approve(asked(stage, consent).await).await.expect("approved");
    walk::allow(page, &ALICE.notes).await.expect("allowed")
}

/// Reading is answered with the very token from before, and its family is alive at the SaaS.
pub(super) async fn stands(stage: &Stage, held: &Grant, when: &str) {
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(grant.connection_id, held.connection_id, "{when}");
    assert_eq!(grant.access_token.expose(), held.access_token.expose(), "{when}");
    assert!(stage.facts(&grant).live, "{when}");
}

/// Also after everything in the queue was told, and at the next refresh.
async fn goes_on(stage: &Stage, held: &Grant) {
    worker::round(stage.world.rooms()).await;
    stands(stage, held, "after the worker's round").await;
    stage.clock.advance(Duration::from_secs(24 * 3600));
    let later = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(later.connection_id, held.connection_id);
    assert_ne!(later.access_token.expose(), held.access_token.expose(), "refreshed");
    assert_eq!(stage.consent(&ALICE, TicketHelper, READ_WRITE).await.reason, ConsentReason::ScopesMissing);
}

pub(super) async fn state(stage: &Stage, consent: &ConsentRequired) -> ConsentState {
    let found = stage.client(TicketHelper).get_consent(&consent.consent_id, None).await;
    found.expect("the consent").state()
}

pub(super) fn revoked(stage: &Stage) -> Vec<u64> {
    let log = stage.world.notes().truth().into_iter();
    log.filter_map(|event| match event {
        Event::Revoked { family, kind: RevokedKind::Family } => Some(family),
        _ => None,
    })
    .collect()
}

/// Proves: CO9
#[tokio::test]
async fn co9_the_connection_serves_at_every_stage_of_a_step_up() {
    let (stage, held, wider) = pending().await;
    stands(&stage, &held, "pending").await;
    let page = asked(&stage, &wider).await;
    assert!(words(&page).contains("It stays as it is until you have agreed"), "{}", page.describe());
    let page = walk::approve(page).await.expect("approved");
    stands(&stage, &held, "approved").await;
    let page = walk::allow(page, &ALICE.notes).await.expect("allowed");
    assert_eq!(state(&stage, &wider).await, ConsentState::AwaitingConfirmation);
    stands(&stage, &held, "awaiting confirmation").await;
    walk::confirm(page).await.expect("confirmed");

    let both = stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(both.connection_id, held.connection_id, "the same connection, wider");
    assert_eq!(stage.facts(&both).scopes, READ_WRITE);
    stage.stop().await;
}

/// Proves: CO9, CO12
#[tokio::test]
async fn co9_a_step_up_that_is_declined_anywhere_changes_nothing() {
    for place in ["here", "at the provider", "at the confirmation"] {
        let (stage, held, wider) = pending().await;
        match place {
            "here" => drop(walk::decline(asked(&stage, &wider).await).await.expect("declined")),
            "at the provider" => {
                let page = walk::approve(asked(&stage, &wider).await).await.expect("approved");
                let page = walk::sign_in(page, &ALICE.notes).await.expect("signed in");
                page.form("consent").expect("asks").submit("Deny").await.expect("denied");
            }
            _ => {
                let page = to_confirmation(&stage, &wider).await;
                page.form("/reject")
                    .expect("the way out")
                    .submit("Do not attach it")
                    .await
                    .expect("rejected");
            }
        }
        assert_eq!(state(&stage, &wider).await, ConsentState::Declined, "{place}");
        goes_on(&stage, &held).await;
        stage.stop().await;
    }
}

/// Proves: CO9, CO12
#[tokio::test]
async fn co9_a_step_up_that_fails_or_expires_changes_nothing() {
    for fault in [Fault::Status500, Fault::Refuse(400, "invalid_grant"), Fault::NotBearer] {
        let (stage, held, wider) = pending().await;
        stage.world.notes().script(fault, 1);
        let page = to_confirmation(&stage, &wider).await;
        assert_eq!(page.title(), "This did not work · Token broker");
        assert_eq!(state(&stage, &wider).await, ConsentState::Failed);
        goes_on(&stage, &held).await;
        stage.stop().await;
    }
    let (stage, held, wider) = pending().await;
    stage.world.notes().script_at(Endpoint::Userinfo, Fault::Status500, 1);
    to_confirmation(&stage, &wider).await;
    goes_on(&stage, &held).await;
    let wider = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    to_confirmation(&stage, &wider).await;
    stage.clock.advance(Duration::from_secs(601));
    assert_eq!(state(&stage, &wider).await, ConsentState::Expired);
    worker::round(stage.world.rooms()).await;
    let after = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(after.connection_id, held.connection_id);
    stage.stop().await;
}

/// A SaaS at which revoking a token ends what came of the same authorization, and nothing else.
/// Proves: CO9, RV1
#[tokio::test]
async fn co9_what_was_replaced_is_revoked_once_its_grants_have_ended() {
    let (stage, held, wider) = pending().await;
    let family = stage.facts(&held).family;
    stage.walk(&ALICE, &wider).await;
    let both = stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    worker::round(stage.world.rooms()).await;
    assert!(stage.facts(&held).live, "what was handed out goes on for as long as was promised");
    assert!(revoked(&stage).is_empty());
    stage.clock.advance(Duration::from_secs(24 * 3600));
    worker::round(stage.world.rooms()).await;
    assert_eq!(revoked(&stage), [family]);
    let mut database = stage.database().await;
    let kept = "SELECT CAST(count(obtained_refresh) + count(obtained_access) AS TEXT) FROM consents";
    assert_eq!(database.text(kept).await, "0", "nothing sealed is kept for it");
    let told = database.events().await.into_iter().rfind(|e| e.kind == "provider_revocation.result");
    let told = told.expect("on record");
    assert_eq!(
        (told.text("/detail/at_provider"), told.text("/consent")),
        ("revoked", wider.consent_id.as_str())
    );
    let later = stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(later.connection_id, both.connection_id, "and refreshes");
    stage.stop().await;
}

/// A SaaS at which revoking any token may end everything: what is not known is taken for the worst.
/// Proves: CO9
#[tokio::test]
async fn co9_where_revoking_one_ends_all_nothing_is_revoked_beside_the_connection() {
    let amend: fn(String) -> String = |c| c.replace("    revocation_ends: own_authorization\n", "");
    let options = || Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let (stage, _, wider) = with(options()).await;
    stage.walk(&ALICE, &wider).await;
    stage.clock.advance(Duration::from_secs(24 * 3600));
    worker::round(stage.world.rooms()).await;
    assert!(revoked(&stage).is_empty(), "replaced");
    stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    stage.stop().await;

    let (stage, held, wider) = with(options()).await;
    let page = to_confirmation(&stage, &wider).await;
    page.form("/reject").expect("the way out").submit("Do not attach it").await.expect("rejected");
    worker::round(stage.world.rooms()).await;
    assert!(revoked(&stage).is_empty(), "rejected");
    let told = stage.database().await.last_event().await;
    assert_eq!(
        (told.kind.as_str(), told.text("/detail/at_provider")),
        ("provider_revocation.result", "kept_for_its_connection")
    );
    stands(&stage, &held, "rejected").await;
    stage.stop().await;
}

/// Two needs at one provider, answered one after the other: the second asks for what the first has brought, too.
/// Proves: CO9, CO8
#[tokio::test]
async fn co9_a_consent_asks_for_what_was_connected_since_it_was_drafted() {
    let stage = Stage::start().await;
    let reading = stage.consent(&ALICE, TicketHelper, READ).await;
    let writing = stage.consent(&ALICE, ReportWriter, WRITE).await;
    assert_eq!(writing.reason, ConsentReason::NotConnected);
    stage.walk(&ALICE, &reading).await;
    let first = stage.grant(&ALICE, TicketHelper, READ).await;
    stage.walk(&ALICE, &writing).await;
    let second = stage.grant(&ALICE, ReportWriter, WRITE).await;
    assert_eq!(second.connection_id, first.connection_id);
    let still = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(
        (&still.connection_id, &still.scopes[..]),
        (&first.connection_id, &["notes.read".to_owned()][..])
    );
    // Each server has what was approved for it, and no more.
    assert_eq!(stage.consent(&ALICE, ReportWriter, READ).await.reason, ConsentReason::NotApproved);
    stage.stop().await;
}

/// Its token could do less than the connection that another consent made meanwhile.
/// Proves: CO9, CO10
#[tokio::test]
async fn co9_less_than_stands_already_never_takes_its_place() {
    let stage = Stage::start().await;
    let reading = stage.consent(&ALICE, TicketHelper, READ).await;
    let writing = stage.consent(&ALICE, ReportWriter, WRITE).await;
    let page = to_confirmation(&stage, &writing).await;
    stage.walk(&ALICE, &reading).await;
    let first = stage.grant(&ALICE, TicketHelper, READ).await;
    let page = walk::confirm(page).await.expect("answered");
    assert!(words(&page).contains("Too little was granted"), "{}", page.describe());
    let found = stage.client(ReportWriter).get_consent(&writing.consent_id, None).await.expect("the consent");
    assert_eq!((found.state(), found.reason.as_str()), (ConsentState::Failed, "CONSENT_SCOPES_REDUCED"));
    stands(&stage, &first, "after the narrower one").await;
    // What it brought is given back, and the next link leads to both.
    worker::round(stage.world.rooms()).await;
    assert_eq!(revoked(&stage), [1]);
    let again = stage.consent(&ALICE, ReportWriter, WRITE).await;
    assert_eq!(again.reason, ConsentReason::ScopesMissing);
    stage.walk(&ALICE, &again).await;
    stage.grant(&ALICE, ReportWriter, WRITE).await;
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// She takes away at the provider what she gave before.
/// Proves: CO9, CO10
#[tokio::test]
async fn co9_a_step_up_that_comes_back_narrower_is_given_back() {
    let stage = Stage::start().await;
    let held = stage.connect(&ALICE, TicketHelper, WRITE).await;
    let wider = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    // Only the first of both.
    stage.world.notes().script(Fault::FewerScopes, 1);
    let page = to_confirmation(&stage, &wider).await;
    assert!(words(&page).contains("What you had stays as it is"), "{}", page.describe());
    let same = stage.grant(&ALICE, TicketHelper, WRITE).await;
    assert_eq!(same.access_token.expose(), held.access_token.expose());
    worker::round(stage.world.rooms()).await;
    assert!(stage.facts(&held).live && revoked(&stage).len() == 1);
    stage.stop().await;
}

/// What a wider connection replaced goes on until its grants have ended, and no longer than the connection itself.
/// Proves: CO9, RV1
#[tokio::test]
async fn co9_a_disconnect_ends_what_was_replaced_as_well() {
    let (stage, held, wider) = pending().await;
    walk::confirm(to_confirmation(&stage, &wider).await).await.expect("confirmed");
    worker::round(stage.world.rooms()).await;
    assert!(revoked(&stage).is_empty() && stage.facts(&held).live, "its grant goes on");

    let browser = stage.world.browser().expect("a browser");
    let list = browser.get(&format!("{}/connections", stage.world.web_url())).await.expect("a page");
    let list = walk::sign_in(list, &ALICE.sso).await.expect("signed in");
    let question = list.click("Disconnect").await.expect("the question");
    question.form("/disconnect").expect("a form").submit("Disconnect").await.expect("disconnected");
    worker::round(stage.world.rooms()).await;
    let mut ended = revoked(&stage);
    ended.sort_unstable();
    assert_eq!(ended, [1, 2], "the new one by the disconnect, the one before it at once");
    assert!(!stage.facts(&held).live);
    assert_eq!(stage.database().await.text("SELECT count(*) FROM provider_revocations").await, "0");
    stage.stop().await;
}
