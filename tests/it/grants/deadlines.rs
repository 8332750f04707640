//! A caller whose time is over is told so, in the contract's words.

use std::sync::Arc;
use std::time::Duration;

use broker_proto::v1::IssueGrantRequest;
use broker_tests::stage::{READ, Stage};
use broker_tests::wire::{Wire, frame};
use demo::notes::Fault;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use prost::Message;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tokio::sync::Notify;
use tonic::Code;

/// Proves: AV1, AU17
#[tokio::test]
async fn av1_a_deadline_that_passes_during_the_call_is_answered_as_such() {
    let stage = Stage::start().await;
    stage.world.notes().set_access_lifetime(3600);
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(3600));
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);

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
    // A client that measures nothing itself.
    let path = "/broker.v1.GrantService/IssueGrant";
    let wire = Wire::to(stage.world.grpc_url());
    let answer =
        wire.send(Method::POST, path, headers, frame(&message.encode_to_vec())).await.expect("an answer");
    assert_eq!(answer.grpc, Some(Code::DeadlineExceeded as i32), "{answer:?}");
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"), "{answer:?}");

    // What was begun goes on without its caller, and the next one has the use of it.
    release.notify_one();
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}
