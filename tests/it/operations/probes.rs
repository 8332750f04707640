//! Probes: liveness asks for nothing, readiness is about this replica alone, health tells what all of them share.

use std::net::SocketAddr;
use std::time::Duration;

use broker_client::Outcome;
use broker_tests::http1;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::BrokerProcess;
use broker_tests::stage::{READ, Stage, refused};
use demo::world::{ALICE, Options, Workload::TicketHelper, World};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const GRANTS: &str = "broker.v1.GrantService";
/// A look comes every two seconds; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

async fn get(ops: SocketAddr, path: &str) -> (u16, String) {
    let reply = http1::send(ops, "GET", path, &[], b"").await;
    (reply.status, reply.body)
}

async fn grpc(grpc: SocketAddr, service: &str) -> ServingStatus {
    let channel = Endpoint::from_shared(format!("http://{grpc}")).expect("an address").connect_lazy();
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel).check(request).await.expect("an answer").into_inner().status()
}

/// Waits until `path` answers so.
async fn until(ops: SocketAddr, path: &str, status: u16) -> String {
    let asked = async {
        loop {
            match get(ops, path).await {
                (answered, body) if answered == status => return body,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{path} never answers {status}"))
}

/// What every replica suffers from alike is told, and takes none of them out of service.
async fn shared_fault(stage: Stage, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
    let addresses = stage.world.addresses();
    stage.connect(&ALICE, TicketHelper, READ).await;
    until(addresses.ops, "/healthz", 200).await;
    begin().await;
    let told = refused(stage.ask(&ALICE, TicketHelper, READ).await);
    assert!(
        ["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&told.as_str()),
        "{told}"
    );
    assert_eq!(until(addresses.ops, "/healthz", 503).await, "the database does not work\n");
    assert_eq!(get(addresses.ops, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(addresses.ops, "/readyz").await, (200, "ok\n".to_owned()));
    let metrics = get(addresses.ops, "/metrics").await.1;
    for line in ["broker_health{part=\"database\"} 0", "broker_health{part=\"ready\"} 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let not = async {
        while grpc(addresses.grpc, GRANTS).await != ServingStatus::NotServing {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, not).await.expect("the service's health is told");
    assert_eq!(grpc(addresses.grpc, "").await, ServingStatus::Serving, "this process is as well as ever");

    end().await;
    // A commit that worked ends the doubt at once.
    let back = async { while stage.ask(&ALICE, TicketHelper, READ).await.is_err() {} };
    tokio::time::timeout(PATIENCE, back).await.expect("grants come again");
    until(addresses.ops, "/healthz", 200).await;
    stage.stop().await;
}

/// Proves: AV7
#[tokio::test(flavor = "multi_thread")]
async fn av7_a_log_that_cannot_be_written_degrades_health_and_not_readiness() {
    let stage = Stage::start().await;
    let database = tokio::sync::Mutex::new(stage.database().await);
    shared_fault(
        stage,
        async || database.lock().await.hold_log().await,
        async || database.lock().await.let_go().await,
    )
    .await;
}

/// Proves: AV7
#[tokio::test(flavor = "multi_thread")]
async fn av7_a_database_server_that_is_gone_degrades_health_and_not_readiness() {
    let database = PgDatabase::durable();
    let stage = Stage::on_postgres(&database).await;
    shared_fault(stage, async || database.server().crash(), async || database.server().restart()).await;
}

/// Proves: AV7, AV5
#[tokio::test(flavor = "multi_thread")]
async fn av7_av5_a_drain_fails_readiness_first_while_calls_are_still_taken_and_the_probes_end_last() {
    let amend = |text: String| {
        let text = text.replace("log: { level: warn }", "log: { level: info }");
        text.replace("\n\npublic_url", "\n  drain_delay: 3s\n\npublic_url")
    };
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let (addresses, client) = (site.addresses(), site.client(TicketHelper).await.expect("a client"));
    assert_eq!(get(addresses.ops, "/readyz").await.0, 200);
    assert_eq!(grpc(addresses.grpc, "").await, ServingStatus::Serving);

    broker.terminate().await;
    assert_eq!(until(addresses.ops, "/readyz", 503).await, "stopping\n");
    assert_eq!(get(addresses.ops, "/livez").await.0, 200, "it lives");
    assert_eq!(grpc(addresses.grpc, "").await, ServingStatus::NotServing);
    let asked =
        broker_client::GrantRequest::new(site.assertion(&ALICE, TicketHelper), "notes", ["notes.read"]);
    let answer = client.issue_grant(&asked).await;
    assert!(
        matches!(answer, Ok(Outcome::ConsentRequired(_))),
        "who has not noticed yet is served: {answer:?}"
    );
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
}
