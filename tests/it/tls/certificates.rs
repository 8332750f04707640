//! Certificates that change while everything runs.

use std::time::Duration;

use broker_client::{Error, Tls};
use broker_tests::pki::Authority;

use super::scene::Scene;

/// Proves: NE4
#[tokio::test]
async fn ne4_a_certificate_swapped_on_disk_is_what_new_connections_get() {
    let scene = Scene::start(false).await;
    let (old_ca, next) = (scene.ca_file("old.pem", &scene.authority), Authority::new());
    let next_ca = scene.ca_file("next.pem", &next);
    let before = scene.client(Tls::ca_file(&old_ca)).await;
    scene.ask(&before).await.expect("the first certificate");
    let early = scene.client(Tls::ca_file(&next_ca)).await;
    assert!(matches!(scene.ask(&early).await, Err(Error::Unavailable(_))), "not yet");

    next.issue(&scene.server);
    let after = scene.client(Tls::ca_file(&next_ca)).await;
    scene.ask(&after).await.expect("the new certificate, without a restart");
    let late = scene.client(Tls::ca_file(&old_ca)).await;
    assert!(matches!(scene.ask(&late).await, Err(Error::Unavailable(_))), "the old one is gone");
    scene.ask(&before).await.expect("a connection that stands goes on");

    // A broken file is no reason to fall silent.
    std::fs::write(&scene.server.certificate, "not PEM").expect("written");
    let again = scene.client(Tls::ca_file(&next_ca)).await;
    scene.ask(&again).await.expect("the last good certificate");
    scene.stage.stop().await;
}

/// The client follows both: its own certificate is renewed, and the broker's comes from a new authority.
///
/// Proves: CL2
#[tokio::test]
async fn cl2_one_client_lives_through_new_certificates_on_both_sides() {
    let scene = Scene::start(true).await;
    let (ca, own) = (scene.ca_file("ca.pem", &scene.authority), scene.files("workload"));
    scene.clients.issue(&own);
    let client = scene.client(Tls::ca_file(&ca).client_certificate(&own.certificate, &own.key)).await;
    scene.ask(&client).await.expect("as it began");

    let next = Authority::new();
    next.issue(&scene.server);
    next.write(&ca);
    scene.clients.issue(&own);
    scene.stage.clock.advance(Duration::from_secs(1));
    scene.ask(&client).await.expect("with everything new");

    // It does use the new files: with a certificate of a stranger it is not let in.
    Authority::new().issue(&own);
    scene.stage.clock.advance(Duration::from_secs(1));
    assert!(matches!(scene.ask(&client).await, Err(Error::Unavailable(_))));
    scene.stage.stop().await;
}
