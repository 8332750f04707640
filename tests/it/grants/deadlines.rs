//! A caller whose time is over is told so, in the contract's words.

use std::sync::Arc;
use std::time::Duration;

use broker_proto::v1::{IssueGrantRequest, grant_service_client::GrantServiceClient};
use broker_tests::rpc::{PATIENCE, check, with};
use broker_tests::stage::{READ, Stage};
use demo::notes::Fault;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};
use tokio::sync::Notify;
use tonic::{Code, transport::Endpoint};

/// Proves: AV1, AU17
#[tokio::test]
async fn av1_a_deadline_that_passes_during_the_call_is_answered_as_such() {
    let stage = Stage::start().await;
    stage.world.notes().set_access_lifetime(3600);
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(Duration::from_secs(3600));
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);

    let endpoint = Endpoint::from_shared(stage.world.grpc_url()).expect("a URL");
    let mut grants = GrantServiceClient::new(endpoint.connect_lazy());
    let message = IssueGrantRequest {
        assertion: stage.world.assertion(&ALICE, TicketHelper),
        provider: PROVIDER.to_owned(),
        scopes: READ.iter().map(|scope| (*scope).to_owned()).collect(),
        ..IssueGrantRequest::default()
    };
    let mut request = with(&format!("Bearer {}", stage.world.secret(TicketHelper)), message);
    // By the header alone: the client itself waits for the answer.
    request.metadata_mut().insert("grpc-timeout", "300m".parse().expect("a header"));
    let answer = tokio::time::timeout(PATIENCE, grants.issue_grant(request)).await.expect("no hang");
    check("late", (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None), answer.map(drop));

    // What was begun goes on without its caller, and the next one has the use of it.
    release.notify_one();
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}
