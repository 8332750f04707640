//! The contract keeps its own promises: secrets are marked and unprintable, and the descriptor is whole.

use crate::{FILE_DESCRIPTOR_SET, v1};
use prost::Message;

const CANARY: &str = "canary-7f3a";

/// A marked field prints as `[redacted]`, beside its readable neighbours.
#[test]
fn debug_prints_no_assertion() {
    let request =
        v1::IssueGrantRequest { assertion: CANARY.into(), provider: "notes".into(), ..Default::default() };
    let printed = format!("{request:?}");
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(printed.contains(r#"provider: "notes""#), "{printed}");
    assert!(printed.contains("assertion: [redacted]"), "{printed}");
    let request = v1::ListAuditEventsRequest { assertion: Some(CANARY.into()), ..Default::default() };
    assert!(!format!("{request:?}").contains(CANARY));
}

/// A grant inside its answer, as a server or client would print it.
#[test]
fn debug_prints_no_token_and_no_link_inside_the_answer() {
    let grant = v1::Grant { access_token: CANARY.into(), ..Default::default() };
    let consent = v1::ConsentRequired { url: CANARY.into(), ..Default::default() };
    use v1::issue_grant_response::Outcome;
    for outcome in [Outcome::Grant(grant), Outcome::ConsentRequired(consent)] {
        let printed = format!("{:#?}", v1::IssueGrantResponse { outcome: Some(outcome) });
        assert!(!printed.contains(CANARY), "{printed}");
    }
}

/// Every field with the name of a secret carries the mark, in whatever message it is added later.
#[test]
fn every_secret_field_is_marked() {
    let pool = protox::prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptor set");
    let mut seen = 0;
    for message in pool.all_messages().filter(|message| message.package_name() == "broker.v1") {
        for field in message.fields().filter(|f| matches!(f.name(), "assertion" | "access_token" | "url")) {
            let options = field.options();
            let marked = options.get_field_by_name("debug_redact").and_then(|value| value.as_bool());
            assert_eq!(marked, Some(true), "{} is not marked debug_redact", field.full_name());
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} secret fields found: did their names change?");
}

/// Reflection and the gate table read the services from here.
#[test]
fn descriptor_set_holds_every_service() {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptor set");
    let mut services: Vec<String> = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(|service| service.name().to_owned()))
        .collect();
    services.sort();
    assert_eq!(
        services,
        ["AdminService", "AuditService", "ConnectionService", "ConsentService", "GrantService"]
    );
}
