//! One decision, one row, and everything in it.

use broker_tests::stage::{READ, READ_WRITE, Stage, refused};
use data_encoding::HEXLOWER;
use demo::world::{ALICE, BOB, PROVIDER, Workload::ReportWriter, Workload::TicketHelper};
use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::revocation::flood::pseudonym;

/// Proves: AU1, AU17
#[tokio::test]
async fn every_answer_has_exactly_one_row() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let decisions = |events: &[broker_tests::database::Event]| {
        events.iter().filter(|e| e.kind == "grant.issue").map(|e| e.outcome.clone()).collect::<Vec<_>>()
    };
    let before = decisions(&database.events().await).len();
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    stage.consent(&ALICE, ReportWriter, READ).await;
    refused(stage.ask(&BOB, TicketHelper, &["notes.nonsense"]).await);
    let events = database.events().await;
    assert_eq!(decisions(&events)[before..], ["allowed", "consent_required", "denied"]);
    let row = database.event(&grant.id).await;
    assert_eq!(grant.audit_position, (row.stream, u64::try_from(row.seq).unwrap()));
    stage.stop().await;
}

/// Proves: AU5, ID17
#[tokio::test]
async fn the_row_of_a_grant_says_who_what_when_and_why() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let request = broker_client::GrantRequest::new(assertion.as_str(), PROVIDER, READ.iter().copied())
        .tool("list_notes")
        .purpose("Show notes")
        .ttl(std::time::Duration::from_secs(120));
    let grant = broker_tests::stage::granted(stage.client(TicketHelper).issue_grant(&request).await);
    let event = stage.database().await.event(&grant.id).await;
    let texts = [
        ("/id", grant.id.as_str()),
        ("/kind", "grant.issue"),
        ("/outcome", "allowed"),
        ("/tenant", "company"),
        ("/subject", &pseudonym(&stage, &ALICE).await),
        ("/workload", "ticket-helper"),
        ("/client_id", TicketHelper.audience()),
        ("/provider", "notes"),
        ("/connection", &grant.connection_id),
        ("/tool", "list_notes"),
        ("/purpose", "Show notes"),
        ("/assertion_sha256", &HEXLOWER.encode(digest(&SHA256, assertion.as_bytes()).as_ref())),
        ("/policy/inputs/issuer", stage.world.sso().issuer()),
        ("/policy/inputs/environment", "sandbox"),
        ("/policy/inputs/acr", "urn:company:acr:password"),
        ("/detail/token_scopes", "notes.read"),
    ];
    for (pointer, expected) in texts {
        assert_eq!(event.text(pointer), expected, "{pointer}");
    }
    assert_eq!(event.texts("/scopes_asked"), READ);
    assert_eq!(event.texts("/scopes_granted"), READ);
    assert_eq!(event.texts("/policy/rules"), ["staff-use-notes"]);
    assert_eq!(event.texts("/policy/inputs/roles"), ["engineering", "notes-users"]);
    assert_eq!(event.body.pointer("/ttl_seconds"), Some(&json!(120)));
    assert_eq!(event.body.pointer("/policy/inputs/requested_ttl"), Some(&json!(120)));
    assert_eq!(event.body.pointer("/policy/inputs/scopes"), Some(&json!({ "notes.read": "read" })));
    for given in ["/approval", "/time", "/expires_at", "/policy/version", "/policy/inputs/auth_time"] {
        assert!(!event.text(given).is_empty(), "{given}");
    }
    // What is personal is sealed; no secret is in it at all.
    let text = event.body.to_string();
    for secret in [&assertion, grant.access_token.expose(), "alice", "Alice", "u-7f3a19c2e4"] {
        assert!(!text.contains(secret));
    }
    let rooms = stage.world.rooms();
    let tenant = broker::domain::TenantId::parse("company").expect("a tenant");
    let key =
        rooms.keys.subject_key_of(&tenant, event.text("/subject")).await.expect("keys").expect("alice's key");
    let recorded = broker::audit::Recorded::read(text.as_bytes()).expect("an event");
    let personal = recorded.open_personal(&key).expect("her own key opens it");
    assert_eq!(personal["subject_label"], "Alice Example");
    assert_eq!(personal["account_label"], "alice@notes.example");
    assert_eq!(personal["client_address"], "127.0.0.1");
    stage.stop().await;
}
