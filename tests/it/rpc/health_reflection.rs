use std::collections::BTreeSet;

use broker_tests::rpc::{Rpc, in_time};
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Proves: ID1
#[tokio::test]
async fn health_answers_without_a_credential_and_only_about_what_is_served() {
    let rpc = Rpc::start().await;
    let mut health = HealthClient::new(rpc.channel());
    let mut check = async |service: &str| {
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        in_time(health.check(request)).await.map(|answer| answer.into_inner().status())
    };
    assert_eq!(check("").await.expect("an answer"), ServingStatus::Serving);
    for unknown in ["nothing", "../../", "broker.v1.Nothing", "\u{202e}"] {
        assert_eq!(check(unknown).await.expect_err(unknown).code(), Code::NotFound);
    }
    assert!(rpc.events().await.iter().all(|event| event["outcome"] != "denied"), "nobody was refused");
    rpc.stop().await;
}

async fn reflect(rpc: &Rpc, asked: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let stream = tokio_stream::once(request);
    let mut client = ServerReflectionClient::new(rpc.channel());
    let mut answers = in_time(client.server_reflection_info(stream)).await.expect("an answer").into_inner();
    let answer = in_time(answers.message()).await.expect("no error").expect("a message");
    answer.message_response.expect("a response")
}

/// Proves: ID1, PO7
#[tokio::test]
async fn reflection_lists_exactly_what_is_served() {
    let rpc = Rpc::start().await;
    let MessageResponse::ListServicesResponse(listed) =
        reflect(&rpc, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list")
    };
    let listed: BTreeSet<String> = listed.service.into_iter().map(|service| service.name).collect();
    let served: BTreeSet<String> = broker::transport::grpc::GATE
        .iter()
        .filter_map(|row| row.method.trim_start_matches('/').split_once('/'))
        .map(|(service, _)| service.to_owned())
        .collect();
    assert_eq!(listed, served);

    for name in ["broker.v1.GrantService", "broker.v1.IssueGrantRequest"] {
        let found = reflect(&rpc, MessageRequest::FileContainingSymbol(name.to_owned())).await;
        assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)), "{name}: {found:?}");
    }
    rpc.stop().await;
}
