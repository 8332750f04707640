//! A broker dies while it issues for an assertion that is good for one grant: it was used where the grant has a row, and only there.

use std::time::Duration;

use broker_client::{GrantRequest, Outcome};
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::client;
use broker_tests::stage::{granted, one_time, refused};
use demo::walk;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper, World};

use super::issue::POINTS;

/// Proves: ID12, GR5
#[tokio::test]
async fn id12_a_broker_that_dies_while_issuing_has_used_the_assertion_where_it_has_the_row() {
    let mut options = one_time();
    let one_time = options.amend_config.take().expect("a change");
    let amend = move |text: String| one_time(text).replace("level: warn", "level: info");
    options.amend_config = Some(Box::new(amend));
    let site = World::prepare(options).await.expect("prepared");
    let client = client(&site, &site.grpc_url(), TicketHelper, Duration::from_secs(20)).await;
    let fresh = || GrantRequest::new(site.assertion(&ALICE, TicketHelper), PROVIDER, ["notes.read"]);
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let Ok(Outcome::ConsentRequired(consent)) = client.issue_grant(&fresh()).await else { panic!("a link") };
    let browser = site.browser().expect("a browser");
    walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("connected");
    for (point, rows) in POINTS {
        broker.terminate().await;
        broker.ended().await;
        let mut dying = BrokerProcess::serve_to(site.directory(), "broker.yaml", point);
        dying.listening().await;
        let request = fresh();
        let named = request.clone().request_id(point);
        assert!(client.issue_grant(&named).await.is_err(), "{point}: nobody receives it");
        dying.died().await;

        broker = BrokerProcess::serve(site.directory(), "broker.yaml");
        broker.listening().await;
        if rows > 0 {
            assert_eq!(refused(client.issue_grant(&request).await), "ASSERTION_REPLAYED", "{point}");
        }
        // The same request is answered either way, and then it was used.
        granted(client.issue_grant(&named).await);
        assert_eq!(refused(client.issue_grant(&request).await), "ASSERTION_REPLAYED", "{point}");
    }
    broker.terminate().await;
    let (status, stderr) = broker.ended().await;
    assert!(status.success(), "{stderr}");
}
