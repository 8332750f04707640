//! SIGTERM: what runs is finished, the stream is closed, the exit code is 0.

use std::sync::Arc;

use broker_client::{GrantRequest, Outcome};
use broker_tests::http1;
use broker_tests::process::BrokerProcess;
use demo::saas::{Event, Fault};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Workload, World};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::works;

/// A grant whose refresh is under way at the provider when the signal comes is still answered; nothing new is taken.
///
/// Proves: AV5
#[tokio::test(flavor = "multi_thread")]
async fn av5_sigterm_finishes_the_refresh_under_way_and_exits_with_0() {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let client = site.client(Workload::TicketHelper).await.expect("a client");
    let ask = |scopes: &[&str]| {
        let assertion = site.assertion(&ALICE, Workload::TicketHelper);
        GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())
    };
    let outcome = client.issue_grant(&ask(&["notes.read", "notes.write"])).await.expect("an outcome");
    let Outcome::ConsentRequired(consent) = outcome else { panic!("a consent") };
    let browser = site.browser().expect("a browser");
    walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("connected");

    let release = Arc::new(Notify::new());
    site.notes().script(Fault::Slow(release.clone()), 1);
    let narrow = ask(&["notes.read"]);
    let asking = tokio::spawn(async move { client.issue_grant(&narrow).await });
    site.notes()
        .wait_until(|events| events.iter().any(|e| matches!(e, Event::Faulted { fault: "slow", .. })))
        .await;
    broker.terminate().await;
    broker.said("stopping").await;
    let addresses = site.addresses();
    for address in [addresses.grpc, addresses.web] {
        // Taken down in the moments after the signal.
        let gone = async { while TcpStream::connect(address).await.is_ok() {} };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone)
            .await
            .expect("nothing new is accepted");
    }
    assert!(!asking.is_finished(), "the provider has not answered yet");
    // Who watches it sees the drain to its end.
    assert_eq!(http1::send(addresses.ops, "GET", "/readyz", &[], b"").await.status, 503);
    assert_eq!(http1::send(addresses.ops, "GET", "/livez", &[], b"").await.status, 200);
    release.notify_one();
    match asking.await.expect("no panic").expect("an outcome") {
        Outcome::Grant(grant) => assert_eq!(grant.scopes, ["notes.read"]),
        Outcome::ConsentRequired(_) => panic!("the refresh was lost"),
    }
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
    assert!(log.contains("stopped"), "{log}");
    let verified = works(site.directory(), &["audit", "verify"]).await;
    assert!(verified.contains("(0 open, 0 recovered)"), "{verified}");
}

/// As soon as it listens a signal stops it in good order; none is lost between the start and the wait for signals.
///
/// Proves: AV5
#[tokio::test]
async fn av5_sigterm_right_after_the_start_ends_it_cleanly() {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    for _ in 0..5 {
        let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
        broker.listening().await;
        broker.terminate().await;
        let (status, log) = broker.ended().await;
        assert!(status.success(), "{status:?}: {log}");
    }
    let verified = works(site.directory(), &["audit", "verify"]).await;
    assert!(verified.contains("5 streams (0 open, 0 recovered)"), "{verified}");
}

/// What does not end within `limits.drain_timeout` is cut off, and the log still ends in good order.
///
/// Proves: AV5
#[tokio::test(flavor = "multi_thread")]
async fn av5_what_outlasts_the_drain_timeout_is_cut_off() {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let options = Options {
        amend_config: Some(Box::new(amend)),
        extra_config: "limits: { drain_timeout: 1s }".to_owned(),
        ..Options::default()
    };
    let site = World::prepare(options).await.expect("prepared");
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let client = site.client(Workload::TicketHelper).await.expect("a client");
    let ask = |scopes: &[&str]| {
        let assertion = site.assertion(&ALICE, Workload::TicketHelper);
        GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())
    };
    let outcome = client.issue_grant(&ask(&["notes.read", "notes.write"])).await.expect("an outcome");
    let Outcome::ConsentRequired(consent) = outcome else { panic!("a consent") };
    let browser = site.browser().expect("a browser");
    walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("connected");
    // The provider never answers.
    site.notes().script(Fault::Slow(Arc::new(Notify::new())), 1);
    let narrow = ask(&["notes.read"]);
    let asking = tokio::spawn(async move { client.issue_grant(&narrow).await });
    site.notes()
        .wait_until(|events| events.iter().any(|e| matches!(e, Event::Faulted { fault: "slow", .. })))
        .await;
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
    assert!(log.contains("some calls did not finish in time and were cut off"), "{log}");
    asking.abort();
    let verified = works(site.directory(), &["audit", "verify"]).await;
    assert!(verified.contains("(0 open, 0 recovered)"), "{verified}");
}
