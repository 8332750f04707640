//! Who gets through a handshake, and who does not keep others from theirs.

use std::time::Duration;

use broker_client::{Error, Tls};
use broker_proto::v1::IssueGrantRequest;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_tests::pki::Authority;
use broker_tests::process::run;
use broker_tests::stage::Stage;
use demo::browser::Browser;
use demo::world::Workload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::scene::Scene;

/// Far below the ten seconds that a handshake may take.
const QUICK: Duration = Duration::from_secs(5);

/// Proves: NE4
#[tokio::test]
async fn ne4_grpc_and_pages_are_served_over_tls_to_those_who_trust_the_authority() {
    let scene = Scene::start(false).await;
    let client = scene.client(Tls::ca_file(scene.ca_file("ca.pem", &scene.authority))).await;
    scene.ask(&client).await.expect("an answer");
    let stranger = scene.client(Tls::ca_file(scene.ca_file("other.pem", &Authority::new()))).await;
    assert!(matches!(scene.ask(&stranger).await, Err(Error::Unavailable(_))));

    let url = format!("https://{}/connections", scene.stage.world.addresses().web);
    let now = || scene.stage.world.now();
    let trusting = Browser::new(now(), scene.authority.pem().as_bytes()).expect("a browser");
    trusting.hold_before(Some(scene.stage.world.sso().issuer()));
    let page = trusting.get(&url).await.expect("a page");
    assert!(page.status < 400, "{}", page.describe());
    let other = Browser::new(now(), Authority::new().pem().as_bytes()).expect("a browser");
    other.get(&url).await.expect_err("not trusted");
    scene.stage.stop().await;
}

/// Proves: NE4
#[tokio::test]
async fn ne4_a_plain_client_at_a_tls_port_is_turned_away_at_once() {
    let scene = Scene::start(false).await;
    let addresses = scene.stage.world.addresses();
    for address in [addresses.grpc, addresses.web] {
        for hello in [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut plain = TcpStream::connect(address).await.expect("connects");
            plain.write_all(hello).await.expect("written");
            let mut answer = Vec::new();
            // Closed or reset; what came before is a TLS alert at most.
            let read = tokio::time::timeout(QUICK, plain.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "{address} keeps a plain client waiting");
            assert!(!answer.starts_with(b"HTTP") && answer.len() < 64, "{answer:?}");
        }
    }
    let endpoint = Endpoint::from_shared(format!("http://{}", addresses.grpc)).expect("an address");
    let mut plain = GrantServiceClient::new(endpoint.connect_lazy());
    let asked = tokio::time::timeout(QUICK, plain.issue_grant(IssueGrantRequest::default())).await;
    let status = asked.expect("quickly").expect_err("refused");
    assert!(std::error::Error::source(&status).is_some(), "nobody answered: {status:?}");
    scene.stage.stop().await;
}

/// Proves: NE4
#[tokio::test]
async fn ne4_handshakes_that_never_end_do_not_keep_others_waiting() {
    let scene = Scene::start(false).await;
    let mut idle = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(scene.stage.world.addresses().grpc).await.expect("connects");
        if number % 2 == 0 {
            // The beginning of a ClientHello.
            stream.write_all(&[0x16, 0x03, 0x01, 0x02]).await.expect("written");
        }
        idle.push(stream);
    }
    let client = scene.client(Tls::ca_file(scene.ca_file("ca.pem", &scene.authority))).await;
    tokio::time::timeout(QUICK, scene.ask(&client)).await.expect("quickly").expect("an answer");
    drop(idle);
    scene.stage.stop().await;
}

/// Proves: NE4
#[tokio::test]
async fn ne4_with_a_client_authority_nobody_gets_through_without_its_certificate() {
    let scene = Scene::start(true).await;
    let ca = scene.ca_file("ca.pem", &scene.authority);
    let none = scene.client(Tls::ca_file(&ca)).await;
    assert!(matches!(scene.ask(&none).await, Err(Error::Unavailable(_))));
    for (name, authority, good) in [
        ("theirs", &scene.clients, true),
        ("strange", &Authority::new(), false),
        ("server", &scene.authority, false),
    ] {
        let files = scene.files(&format!("client-{name}"));
        authority.issue(&files);
        let client = scene.client(Tls::ca_file(&ca).client_certificate(&files.certificate, &files.key)).await;
        let answer = scene.ask(&client).await;
        assert_eq!(answer.is_ok(), good, "{name}: {answer:?}");
    }
    scene.stage.stop().await;
}

/// Proves: NE4
#[tokio::test]
async fn ne4_a_forwarded_certificate_header_speaks_for_nobody() {
    let stage = Stage::start().await;
    let endpoint = Endpoint::from_shared(stage.world.grpc_url()).expect("an address");
    let mut client = GrantServiceClient::new(endpoint.connect_lazy());
    for header in ["x-forwarded-client-cert", "x-client-cert", "x-ssl-client-cert", "x-amzn-mtls-clientcert"]
    {
        let mut request = Request::new(IssueGrantRequest::default());
        let subject = format!("Subject=\"CN={}\"", Workload::TicketHelper.id());
        request.metadata_mut().insert(header, subject.parse().expect("a header"));
        let status = client.issue_grant(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated, "{header}");
    }
    stage.stop().await;
}

/// What `helm test` runs: the health service, with the broker's certificate checked, and its own shown where one is asked for.
#[tokio::test]
async fn broker_health_trusts_only_its_authority_and_shows_its_certificate() {
    let scene = Scene::start(true).await;
    let url = format!("https://{}", scene.stage.world.addresses().grpc);
    let files = scene.files("probe");
    scene.clients.issue(&files);
    let path = |file: &std::path::Path| file.display().to_string();
    let (ca, other) =
        (scene.ca_file("ca.pem", &scene.authority), scene.ca_file("other.pem", &Authority::new()));
    let (certificate, key) = (path(&files.certificate), path(&files.key));
    let shown = ["--certificate-file", &certificate, "--key-file", &key];
    let health = async |ca: &std::path::Path, more: &[&str]| {
        let ca = path(ca);
        let all = [&["health", "--url", &url, "--ca-file", &ca], more].concat();
        run(scene.stage.world.directory(), &all).await
    };
    let well = health(&ca, &shown).await;
    assert_eq!((well.code, well.stdout.as_str()), (0, "SERVING\n"), "{well:?}");
    let one = health(&ca, &[&shown[..], &["--service", "broker.v1.GrantService"]].concat()).await;
    assert_eq!((one.code, one.stdout.as_str()), (0, "SERVING\n"), "{one:?}");
    let nowhere = health(&ca, &[&shown[..], &["--service", "broker.v1.NoService"]].concat()).await;
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    for (what, ran) in
        [("no certificate", health(&ca, &[]).await), ("another authority", health(&other, &shown).await)]
    {
        assert!(
            ran.code == 1 && ran.stdout.is_empty() && ran.stderr.starts_with("broker: "),
            "{what}: {ran:?}"
        );
    }
    scene.stage.stop().await;
    let gone = run(&std::env::temp_dir(), &["health", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(gone.code, 1, "{gone:?}");
}
