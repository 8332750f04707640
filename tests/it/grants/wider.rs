//! A provider that cannot narrow its token, and rules that let a server hold more than was approved for it.

use std::time::Duration;

use broker_client::proto::ConsentReason::{NotApproved, ReauthRequired, ScopesMissing, WiderThanApproved};
use broker_client::{ConsentRequired, Narrowing, Outcome};
use broker_tests::stage::{READ, READ_WRITE, Stage, granted, refused};
use broker_tests::walk::words;
use demo::browser::Page;
use demo::saas::Fault;
use demo::walk;
use demo::world::{ALICE, Options, Person, Workload, Workload::ReportWriter, Workload::TicketHelper};

/// The report writer, and nobody else, may hold what it was not approved for.
const REPORTS_MAY_HOLD: &str = r#"
@id("reports-may-hold-more") @max_ttl("5m")
permit (principal, action == Broker::Action::"holdWider", resource is Broker::Scope)
when { context.workload.name == "report-writer" && principal.roles.contains("notes-users") };
"#;

const SHARED: &str = "These servers will also hold a token with these permissions";

async fn that_cannot_narrow(extra_policy: &str) -> Stage {
    let cannot = |config: String| config.replace("narrowing: refresh_with_scope", "narrowing: none");
    let extra_policy = extra_policy.to_owned();
    Stage::with(Options { amend_config: Some(Box::new(cannot)), extra_policy, ..Options::default() }).await
}

/// alice's ticket helper writes; her report writer is approved for reading. Answers what it gets then.
async fn narrower_approval(stage: &Stage) -> Result<Outcome, broker_client::Error> {
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let first = stage.consent(&ALICE, ReportWriter, READ).await;
    assert_eq!(first.reason, NotApproved);
    stage.walk(&ALICE, &first).await;
    let request = stage.request(&ALICE, ReportWriter, READ).ttl(Duration::from_secs(60));
    stage.client(ReportWriter).issue_grant(&request).await
}

/// The page on which a person is asked; signed in, nothing answered yet.
async fn asked(stage: &Stage, person: &Person, consent: &ConsentRequired) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("the link opens");
    walk::sign_in(page, &person.sso).await.expect("signed in")
}

/// Proves: GR1
#[tokio::test]
async fn gr1_a_narrower_approval_without_a_rule_is_asked_about() {
    let stage = that_cannot_narrow("").await;
    match narrower_approval(&stage).await {
        Ok(Outcome::ConsentRequired(consent)) => assert_eq!(consent.reason, WiderThanApproved),
        other => panic!("a consent was due: {other:?}"),
    }
    stage.stop().await;
}

/// Proves: GR1, GR5
#[tokio::test]
async fn gr1_a_rule_lets_a_wider_token_be_served_and_everybody_is_told() {
    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let first = stage.consent(&ALICE, ReportWriter, READ).await;
    let page = words(&asked(&stage, &ALICE, &first).await);
    let (_, told) =
        page.split_once("Report writer will hold one that can also:").expect("the person is told");
    assert!(told.contains("Write notes in your name"), "{page}");
    // The ticket helper has its own approval for all of it.
    assert!(!page.contains(SHARED), "{page}");
    stage.walk(&ALICE, &first).await;

    let request = stage.request(&ALICE, ReportWriter, READ).request_id("once");
    let grant = granted(stage.client(ReportWriter).issue_grant(&request).await);
    assert_eq!(
        (grant.narrowing, &grant.scopes[..]),
        (Narrowing::ProviderCannotNarrow, &["notes.read".to_owned()][..])
    );
    assert_eq!(stage.facts(&grant).scopes, READ_WRITE);
    let event = stage.database().await.event(&grant.id).await;
    assert_eq!(event.texts("/scopes_granted"), READ);
    assert_eq!(event.text("/detail/token_scopes"), "notes.read notes.write");
    assert_eq!(event.texts("/detail/held_wider/notes.write"), ["reports-may-hold-more"]);
    assert_eq!(event.texts("/policy/rules"), ["reports-may-hold-more", "staff-use-notes"]);

    let again = granted(stage.client(ReportWriter).issue_grant(&request).await);
    assert_eq!(again.id, grant.id);
    let event = stage.database().await.last_event().await;
    assert_eq!(event.kind, "grant.redelivered");
    assert_eq!(event.texts("/detail/held_wider/notes.write"), ["reports-may-hold-more"]);

    // A refreshed token is judged like the one before it.
    stage.clock.advance(Duration::from_secs(24 * 3600));
    let fresh = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_ne!(fresh.access_token.expose(), grant.access_token.expose());
    assert_eq!(fresh.narrowing, Narrowing::ProviderCannotNarrow);
    // Writing is not approved for it, whatever it holds.
    assert_eq!(stage.consent(&ALICE, ReportWriter, &["notes.write"]).await.reason, NotApproved);
    stage.stop().await;
}

/// Proves: GR1, PO1, PO4
#[tokio::test]
async fn gr1_a_block_beats_the_rule_and_so_does_one_that_cannot_be_evaluated() {
    let cases = [
        ("holdWider", r#"resource.access == "write""#, "POLICY_DENIED"),
        (
            "issue",
            r#"resource.access == "write" && context.workload.name == "report-writer""#,
            "POLICY_DENIED",
        ),
        (
            "holdWider",
            "context.purpose != \"\" && context has requested_ttl && context.requested_ttl * 9223372036854775807 > 5",
            "POLICY_ERROR",
        ),
    ];
    for (action, condition, reason) in cases {
        let forbid = format!(
            "@id(\"never\") @reason(\"Never.\")\nforbid (principal, action == Broker::Action::\"{action}\", resource is Broker::Scope) when {{ {condition} }};"
        );
        let stage = that_cannot_narrow(&(REPORTS_MAY_HOLD.to_owned() + &forbid)).await;
        assert_eq!(refused(narrower_approval(&stage).await), reason, "{action}");
        let event = stage.database().await.last_event().await;
        assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", reason));
        assert!(event.texts("/policy/rules").contains(&"never"), "{action}");
        stage.stop().await;
    }
}

/// Proves: GR1, PO1
#[tokio::test]
async fn gr1_holding_alone_grants_nothing() {
    let policy = Some(REPORTS_MAY_HOLD.to_owned());
    let stage = Stage::with(Options { policy, ..Options::default() }).await;
    assert_eq!(refused(stage.ask(&ALICE, ReportWriter, READ).await), "POLICY_DENIED");
    assert_eq!(stage.database().await.last_event().await.texts("/policy/rules"), ["default-deny"]);
    stage.stop().await;
}

/// Connects both for reading, and answers the pages on which `who` asks for writing too: asked, and to confirm.
async fn step_up(stage: &Stage, who: Workload) -> [String; 2] {
    let consent = stage.consent(&ALICE, who, READ_WRITE).await;
    assert_eq!(consent.reason, ScopesMissing);
    let page = asked(stage, &ALICE, &consent).await;
    let first = words(&page);
    let page = walk::approve(page).await.expect("approved");
    let page = walk::allow(page, &ALICE.notes).await.expect("allowed");
    let second = words(&page);
    walk::confirm(page).await.expect("confirmed");
    [first, second]
}

/// Proves: GR1
#[tokio::test]
async fn gr1_the_page_names_the_server_that_will_hold_the_wider_token_too() {
    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    for page in step_up(&stage, TicketHelper).await {
        let (_, named) = page.split_once(SHARED).unwrap_or_else(|| panic!("not told: {page}"));
        assert!(named.contains("Report writer"), "{page}");
        assert!(!page.contains("can also:"), "{page}");
    }
    let grant = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(stage.facts(&grant).scopes, READ_WRITE, "as the page said");
    stage.stop().await;
}

/// Proves: GR1
#[tokio::test]
async fn gr1_the_page_names_nobody_who_will_be_asked_or_has_no_approval_any_more() {
    // No rule lets the ticket helper hold more: it is asked.
    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    for page in step_up(&stage, ReportWriter).await {
        assert!(!page.contains(SHARED) && !page.contains("Ticket helper"), "{page}");
    }
    assert_eq!(stage.consent(&ALICE, TicketHelper, READ).await.reason, WiderThanApproved);
    stage.stop().await;

    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let grant = stage.connect(&ALICE, ReportWriter, READ).await;
    let assertion = stage.world.assertion(&ALICE, ReportWriter);
    let withdrawn =
        stage.client(ReportWriter).withdraw_approval(&grant.connection_id, &assertion.into()).await;
    withdrawn.expect("withdrawn");
    for page in step_up(&stage, TicketHelper).await {
        assert!(!page.contains(SHARED) && !page.contains("Report writer"), "{page}");
    }
    stage.stop().await;
}

/// Where the token can be narrowed, nobody holds more than was approved, whatever rules would let them.
///
/// Proves: GR1
#[tokio::test]
async fn gr1_a_token_that_can_be_narrowed_is_narrowed_all_the_same() {
    let stage =
        Stage::with(Options { extra_policy: REPORTS_MAY_HOLD.to_owned(), ..Options::default() }).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    for page in step_up(&stage, TicketHelper).await {
        assert!(!page.contains(SHARED), "{page}");
    }
    let grant = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(
        (grant.narrowing, stage.facts(&grant).scopes),
        (Narrowing::Exact, vec!["notes.read".to_owned()])
    );
    stage.stop().await;
}

/// Who could be handed as much before learns nothing new by a consent; who can be handed it again only because of it does.
///
/// Proves: GR1
#[tokio::test]
async fn gr1_the_page_names_only_whom_it_gives_something() {
    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    let grant = stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let withdrawn =
        stage.client(TicketHelper).withdraw_approval(&grant.connection_id, &assertion.into()).await;
    withdrawn.expect("withdrawn");
    let held = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(stage.facts(&held).scopes, READ_WRITE, "it holds as much already");
    let consent = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(consent.reason, NotApproved);
    let page = words(&asked(&stage, &ALICE, &consent).await);
    assert!(!page.contains(SHARED) && !page.contains("Report writer"), "{page}");
    stage.walk(&ALICE, &consent).await;

    assert_eq!(stage.world.notes().disconnect(ALICE.notes.name), 1);
    stage.clock.advance(Duration::from_secs(700));
    let consent = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    assert_eq!(consent.reason, ReauthRequired);
    let page = words(&asked(&stage, &ALICE, &consent).await);
    let (_, named) = page.split_once(SHARED).unwrap_or_else(|| panic!("not told: {page}"));
    assert!(named.contains("Report writer"), "{page}");
    stage.stop().await;
}

/// The provider gives more than it was asked for: who holds that much more without asking is named before it is confirmed.
///
/// Proves: GR1, CO10
#[tokio::test]
async fn gr1_co10_the_page_names_who_will_hold_what_nobody_asked_for() {
    let stage = that_cannot_narrow(REPORTS_MAY_HOLD).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&ALICE, ReportWriter, READ).await;
    assert_eq!(stage.world.notes().disconnect(ALICE.notes.name), 1);
    stage.clock.advance(Duration::from_secs(700));
    let consent = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(consent.reason, ReauthRequired);
    let page = asked(&stage, &ALICE, &consent).await;
    assert!(!words(&page).contains(SHARED), "nothing new is asked for: {}", words(&page));
    let page = walk::approve(page).await.expect("approved");
    stage.world.notes().script(Fault::MoreScopes, 1);
    let page = walk::allow(page, &ALICE.notes).await.expect("allowed");
    let told = words(&page);
    let (more, named) = told.split_once(SHARED).unwrap_or_else(|| panic!("not told: {told}"));
    assert!(more.contains("could also:") && more.contains("Write notes in your name"), "{told}");
    assert!(named.contains("Report writer"), "{told}");
    walk::confirm(page).await.expect("confirmed");
    let grant = stage.grant(&ALICE, ReportWriter, READ).await;
    assert_eq!(stage.facts(&grant).scopes, READ_WRITE, "as the page said");
    stage.stop().await;
}
