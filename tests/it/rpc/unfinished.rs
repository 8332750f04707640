//! Whoever begins calls and sends no messages keeps nobody's place, not even from the same address.

use broker_proto::v1::{ListConnectionsRequest, issue_grant_response::Outcome};
use broker_tests::{
    rpc::{ASSERTION_MISSING, Rpc, in_time},
    wire::Wire,
};
use demo::world::{ALICE, Options, Workload::TicketHelper};
use futures::{StreamExt, stream, stream::FuturesUnordered};
use reqwest::{
    Body, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tonic::Request;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Calls served at once.
const PLACES: usize = 4;
/// Of each kind; more than there are places, and than one address may have on their way.
const BEGUN: usize = 16;

/// Proves: AV1, AV2
#[tokio::test]
async fn av1_calls_without_their_messages_keep_no_place() {
    let extra_config = format!("limits: {{ max_concurrent_requests: {PLACES} }}");
    let rpc = Rpc::start_with(Options { extra_config, ..Options::default() }).await;
    let wire = Wire::to(rpc.world.grpc_url());
    let secret =
        HeaderValue::from_str(&format!("Bearer {}", rpc.world.secret(TicketHelper))).expect("a header");
    for (path, credential) in [
        ("/grpc.health.v1.Health/Check", None),
        ("/broker.v1.ConnectionService/ListConnections", None),
        ("/broker.v1.GrantService/IssueGrant", Some(secret)),
    ] {
        let mut begun = (0..BEGUN)
            .map(|_| {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.extend(credential.clone().map(|secret| (AUTHORIZATION, secret)));
                let never = Body::wrap_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
                wire.send(Method::POST, path, headers, never)
            })
            .collect::<FuturesUnordered<_>>();
        // The first to be told are those beyond one address's share: the rest has arrived before them.
        let shed = in_time(begun.next()).await.expect("there are more").expect("an answer");
        assert_eq!(shed.reason.as_deref(), Some("OVERLOADED"), "{path}: {shed:?}");

        let check = Request::new(HealthCheckRequest::default());
        in_time(HealthClient::new(rpc.channel()).check(check)).await.expect(path);
        let Outcome::ConsentRequired(_) = rpc.ask(&ALICE, TicketHelper).await else {
            panic!("not connected yet")
        };
        let bare = rpc.bare(ListConnectionsRequest::default());
        rpc.turned_away(path, ASSERTION_MISSING, rpc.connections().list_connections(bare)).await;
    }
    rpc.stop().await;
}
