//! A caller whose time is over is told so, in the contract's words.

use std::sync::Arc;
use std::time::Duration;

use broker_proto::v1::IssueGrantRequest;
use broker_tests::stage::{READ, Stage};
use broker_tests::wire::{Answer, Wire, frame};
use demo::saas::Fault;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use prost::Message;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tokio::sync::Notify;
use tonic::Code;

/// A call of 300 ms, by a client that measures nothing itself.
async fn briefly(stage: &Stage) -> Answer {
    let message = IssueGrantRequest {
        assertion: stage.world.assertion(&ALICE, TicketHelper),
        provider: PROVIDER.to_owned(),
        scopes: READ.iter().map(|scope| (*scope).to_owned()).collect(),
        ..IssueGrantRequest::default()
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let secret = format!("Bearer {}", stage.world.secret(TicketHelper));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&secret).expect("a header"));
    headers.insert("grpc-timeout", HeaderValue::from_static("300m"));
    let path = "/broker.v1.GrantService/IssueGrant";
    let wire = Wire::to(stage.world.grpc_url());
    wire.send(Method::POST, path, headers, frame(&message.encode_to_vec())).await.expect("an answer")
}

/// Proves: AV1, AU17
#[tokio::test]
async fn av1_a_deadline_that_passes_during_the_call_is_answered_as_such() {
    let stage = Stage::start().await;
    stage.world.notes().set_access_lifetime(3600);
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(3600));
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);

    let answer = briefly(&stage).await;
    assert_eq!(answer.grpc, Some(Code::DeadlineExceeded as i32), "{answer:?}");
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"), "{answer:?}");

    // What was begun goes on without its caller, and the next one has the use of it.
    release.notify_one();
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// The caller is gone while the intent to refresh is being written: it is written all the same, and the refresh goes on.
///
/// Proves: RF3, AV1
#[tokio::test]
async fn rf3_a_caller_who_leaves_while_the_intent_is_written_leaves_no_lease_behind() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(3600));
    let mut database = stage.database().await;
    // Whoever writes waits up to two seconds for it.
    database.run("BEGIN IMMEDIATE").await;
    let answer = briefly(&stage).await;
    database.run("ROLLBACK").await;
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"), "{answer:?}");
    stage.grant(&ALICE, TicketHelper, READ).await;
    let leases = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR lease_until IS NOT NULL";
    assert_eq!(database.text(leases).await, "0");
    stage.stop().await;
}
