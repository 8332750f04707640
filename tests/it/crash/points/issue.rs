//! A broker dies while it issues: a grant that nobody received may have a row, and a grant without one is never received.

use std::time::Duration;

use broker_client::Outcome;
use broker_tests::database::Database;
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::client;
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Workload::TicketHelper, World};

/// How many rows there are of the grant that nobody received.
pub const POINTS: [(&str, usize); 4] = [
    ("issue.before_row", 0),
    ("ledger.issue_before_commit", 0),
    ("ledger.issue_committed", 1),
    ("issue.recorded", 1),
];

/// Proves: AU1, AU17
#[tokio::test]
async fn au1_a_broker_that_dies_while_issuing_leaves_a_row_or_no_grant() {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let site = World::prepare(Options { amend_config: Some(Box::new(amend)), ..Options::default() });
    let site = site.await.expect("prepared");
    let url = site.grpc_url();
    let client = client(&site, &url, TicketHelper, Duration::from_secs(20)).await;
    let ask = async |purpose: &str| {
        let assertion = site.assertion(&ALICE, TicketHelper);
        let request = broker_client::GrantRequest::new(assertion, PROVIDER, ["notes.read"]);
        client.issue_grant(&request.purpose(purpose).request_id(purpose)).await
    };
    for (n, (point, rows)) in POINTS.into_iter().enumerate() {
        let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
        broker.listening().await;
        if n == 0 {
            let Outcome::ConsentRequired(consent) = ask("first").await.expect("an outcome") else {
                panic!("nobody is connected")
            };
            let browser = site.browser().expect("a browser");
            walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("connected");
        }
        broker.terminate().await;
        broker.ended().await;

        let mut dying = BrokerProcess::serve_to(site.directory(), "broker.yaml", point);
        dying.listening().await;
        let purpose = format!("call-{n}");
        assert!(ask(&purpose).await.is_err(), "{point}: nobody receives it");
        dying.died().await;

        let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
        broker.listening().await;
        let of = async |kind: &str| {
            let mut database = Database::open(&site.database_path()).await;
            let events = database.events().await;
            let mine = |e: &&broker_tests::database::Event| {
                e.kind == kind && e.outcome == "allowed" && e.text("/purpose") == purpose
            };
            events.iter().filter(mine).count()
        };
        assert_eq!(of("grant.issue").await, rows, "{point}");
        // The same request again is the same grant, where there was one.
        assert!(matches!(ask(&purpose).await, Ok(Outcome::Grant(_))), "{point}");
        assert_eq!((of("grant.issue").await, of("grant.redelivered").await), (1, rows), "{point}");
        broker.terminate().await;
        let (status, stderr) = broker.ended().await;
        assert!(status.success(), "{stderr}");
    }
    let ran = broker_tests::process::run(site.directory(), &["audit", "verify"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}
