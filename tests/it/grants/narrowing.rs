//! A grant is never wider than approved, and never lied about.

use broker_client::Narrowing;
use broker_client::proto::ConsentReason::{NotApproved, ScopesMissing, WiderThanApproved};
use broker_tests::stage::{READ, READ_WRITE, Stage};
use demo::saas::Fault;
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: GR1
#[tokio::test]
async fn a_token_is_as_narrow_as_what_was_asked_for() {
    let stage = Stage::start().await;
    let wide = stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let narrow = stage.grant(&ALICE, TicketHelper, READ).await;
    for (grant, scopes) in [(&wide, READ_WRITE), (&narrow, READ)] {
        assert_eq!(grant.scopes, scopes);
        assert_eq!(stage.facts(grant).scopes, scopes);
        assert_eq!(grant.narrowing, Narrowing::Exact);
    }
    assert_ne!(wide.access_token.expose(), narrow.access_token.expose());
    assert_eq!(
        stage.grant(&ALICE, TicketHelper, READ).await.access_token.expose(),
        narrow.access_token.expose()
    );
    stage.stop().await;
}

/// A consent that covers a part is a part: nothing beyond it is issued, by either end's fault.
///
/// Proves: GR1
#[tokio::test]
async fn what_was_not_approved_is_asked_for_and_not_granted() {
    let stage = Stage::start().await;
    stage.connect(&BOB, TicketHelper, READ).await;
    let wider = stage.consent(&BOB, TicketHelper, READ_WRITE).await;
    assert_eq!(wider.reason, ScopesMissing);
    assert_eq!(wider.missing_scopes, ["notes.write"]);
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    let wider = stage.consent(&ALICE, ReportWriter, READ_WRITE).await;
    assert_eq!(wider.reason, NotApproved);
    assert_eq!(wider.missing_scopes, ["notes.write"]);
    assert_eq!(stage.facts(&stage.grant(&ALICE, ReportWriter, READ).await).scopes, READ);
    stage.stop().await;
}

/// The provider gives more than the refresh asked for: the approval decides, not the request.
///
/// Proves: GR1
#[tokio::test]
async fn a_provider_that_ignores_the_narrowing_does_not_widen_a_grant() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    stage.world.notes().script(Fault::MoreScopes, 1);
    let consent = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(consent.reason, NotApproved);
    stage.walk(&ALICE, &consent).await;
    let wider = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(wider.reason, WiderThanApproved);
    stage.stop().await;
}

/// Proves: GR1
#[tokio::test]
async fn a_provider_that_cannot_narrow_serves_a_server_only_after_the_wider_yes() {
    let cannot = |config: String| config.replace("narrowing: refresh_with_scope", "narrowing: none");
    let stage = Stage::with(Options { amend_config: Some(Box::new(cannot)), ..Options::default() }).await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    // Within the ticket helper's own approval: told, not asked.
    let told = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(
        (told.narrowing, &told.scopes[..]),
        (Narrowing::ProviderCannotNarrow, &["notes.read".to_owned()][..])
    );
    assert_eq!(stage.facts(&told).scopes, READ_WRITE);

    let first = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(first.reason, NotApproved);
    stage.walk(&ALICE, &first).await;
    let wider = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(wider.reason, WiderThanApproved);
    stage.walk(&ALICE, &wider).await;
    let grant = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(
        (grant.narrowing, &grant.scopes[..]),
        (Narrowing::ProviderCannotNarrow, &["notes.read".to_owned()][..])
    );
    assert_eq!(stage.facts(&grant).scopes, READ_WRITE);
    let event = stage.database().await.event(&grant.id).await;
    assert_eq!(event.texts("/scopes_granted"), READ);
    assert_eq!(event.text("/detail/token_scopes"), "notes.read notes.write");
    stage.stop().await;
}
