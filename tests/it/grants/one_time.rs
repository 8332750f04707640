//! An issuer whose assertions are good for one use: one grant, and nothing else takes it away.

use broker_client::{Error, GrantRequest, Outcome};
use broker_tests::database::Event;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::{READ, READ_WRITE, Stage, granted, one_time, refused};
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const REPLAYED: &str = "ASSERTION_REPLAYED";

/// A stage on which alice has connected her notes.
async fn connected() -> Stage {
    let stage = Stage::with(one_time()).await;
    stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    stage
}

fn told(event: &Event) -> (&str, &str, &str) {
    (&event.kind, &event.outcome, &event.reason)
}

/// Proves: ID12, AU1
#[tokio::test]
async fn id12_a_second_grant_for_an_assertion_is_refused_and_its_row_says_why() {
    let stage = connected().await;
    let client = stage.client(TicketHelper);
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let asking = |scopes: &[&str]| GrantRequest::new(assertion.clone(), PROVIDER, scopes.iter().copied());
    granted(client.issue_grant(&asking(READ)).await);
    let mut database = stage.database().await;
    let before = database.events().await.len();
    let refusal = client.issue_grant(&asking(READ)).await.expect_err("it was used");
    assert!(matches!(refusal, Error::Assertion(_)), "{refusal:?}");
    assert_eq!(refusal.reason(), REPLAYED);
    // Whatever else it is asked with.
    for other in [asking(READ_WRITE), asking(READ).tool("another_tool"), asking(READ).request_id("a-new-one")]
    {
        assert_eq!(refused(client.issue_grant(&other).await), REPLAYED);
    }
    let events = database.events().await;
    assert_eq!(events.len(), before + 4, "one row each");
    for event in &events[before..] {
        assert_eq!(told(event), ("grant.issue", "denied", REPLAYED));
        assert!(event.texts("/scopes_granted").is_empty() && event.text("/expires_at").is_empty());
        assert!(!event.text("/assertion_sha256").is_empty() && !event.text("/subject").is_empty());
    }
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// Proves: ID12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id12_of_many_requests_at_once_with_one_assertion_one_is_granted() {
    let stage = connected().await;
    let request = stage.request(&ALICE, TicketHelper, READ);
    let before = stage.database().await.events().await.len();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..16 {
        let (client, request) = (stage.client(TicketHelper).clone(), request.clone());
        // Half of them with request ids of their own.
        let request = if n % 2 == 0 { request.request_id(format!("request-{n}")) } else { request };
        calls.spawn(async move { client.issue_grant(&request).await });
    }
    let mut grants = 0;
    for answer in calls.join_all().await {
        match answer {
            Ok(Outcome::Grant(_)) => grants += 1,
            other => assert_eq!(refused(other), REPLAYED),
        }
    }
    assert_eq!(grants, 1);
    let events = stage.database().await.events().await;
    let of_grants = |event: &(&str, &str, &str)| event.0.starts_with("grant.");
    let events: Vec<_> = events[before..].iter().map(told).filter(of_grants).collect();
    assert_eq!(events.iter().filter(|e| **e == ("grant.issue", "allowed", "")).count(), 1);
    assert_eq!(events.iter().filter(|e| **e == ("grant.issue", "denied", REPLAYED)).count(), 15);
    assert_eq!(events.len(), 16);
    stage.stop().await;
}

/// Proves: ID12, GR5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id12_gr5_a_repeat_is_answered_with_the_same_grant_also_at_the_same_time() {
    let stage = connected().await;
    let request = stage.request(&ALICE, TicketHelper, READ).request_id("once");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, request) = (stage.client(TicketHelper).clone(), request.clone());
        calls.spawn(async move { granted(client.issue_grant(&request).await).id });
    }
    let ids: BTreeSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let client = stage.client(TicketHelper);
    stage.clock.advance(Duration::from_secs(60));
    assert!(ids.contains(&granted(client.issue_grant(&request).await).id), "and a minute later");
    // With another assertion it is another request: fresh or used, one opens nothing that this one was used for.
    let other = stage.request(&ALICE, TicketHelper, READ);
    for _ in 0..2 {
        let repeat = other.clone().request_id("once");
        assert_eq!(refused(client.issue_grant(&repeat).await), "REQUEST_ID_REUSED");
        client.issue_grant(&other).await.ok();
    }
    assert_eq!(refused(client.issue_grant(&other).await), REPLAYED, "it was good for a grant of its own");
    // Forgotten, the request is a new one; the assertion is not.
    stage.clock.advance(Duration::from_secs(601));
    assert_eq!(refused(client.issue_grant(&request).await), REPLAYED);
    stage.stop().await;
}

/// Proves: ID12
#[tokio::test]
async fn id12_neither_a_consent_link_nor_a_denial_uses_an_assertion_up() {
    let stage = Stage::with(one_time()).await;
    let client = stage.client(TicketHelper);
    let request = stage.request(&ALICE, TicketHelper, READ);
    let Ok(Outcome::ConsentRequired(consent)) = client.issue_grant(&request).await else { panic!("a link") };
    stage.walk(&ALICE, &consent).await;
    let operator = Operator::of(&stage.world);
    operator.block(person(&ALICE)).await.expect("blocked");
    assert_eq!(refused(client.issue_grant(&request).await), "BLOCKED");
    operator.unblock(person(&ALICE)).await.expect("lifted");
    granted(client.issue_grant(&request).await);
    assert_eq!(refused(client.issue_grant(&request).await), REPLAYED);
    stage.stop().await;
}

/// Proves: ID12
#[tokio::test]
async fn id12_an_issuer_that_does_not_ask_for_it_has_its_assertions_served_again() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let request = stage.request(&ALICE, TicketHelper, READ);
    for _ in 0..2 {
        granted(stage.client(TicketHelper).issue_grant(&request).await);
    }
    let count = "SELECT CAST(count(*) AS TEXT) FROM used_assertions";
    assert_eq!(stage.database().await.text(count).await, "0");
    stage.stop().await;
}

/// Proves: ID12
#[tokio::test]
async fn id12_what_was_used_stays_used_when_the_broker_starts_again_and_for_as_long_as_it_is_good() {
    let stage = connected().await;
    let request = stage.request(&ALICE, TicketHelper, READ);
    granted(stage.client(TicketHelper).issue_grant(&request).await);
    let stage = stage.restart_broker().await;
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), REPLAYED);
    // It is good for an hour.
    stage.clock.advance(Duration::from_secs(3590));
    let stage = stage.restart_broker().await;
    stage.world.rooms().store.sessions.purge(stage.world.clock().now()).await.expect("swept");
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), REPLAYED);
    stage.clock.advance(Duration::from_secs(71));
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), "ASSERTION_EXPIRED");
    stage.stop().await;
}

/// Proves: ID12
#[tokio::test]
async fn id12_an_assertion_without_jti_is_refused() {
    let stage = connected().await;
    let (name, audience) = (ALICE.sso.name, TicketHelper.audience());
    let assertion = stage.world.sso().mint_with(name, audience, json!({ "jti": null }));
    let request = GrantRequest::new(assertion, PROVIDER, READ.iter().copied());
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), "ASSERTION_INVALID");
    let event = stage.database().await.last_event().await;
    assert_eq!(told(&event), ("grant.issue", "denied", "ASSERTION_INVALID"));
    stage.stop().await;
}
