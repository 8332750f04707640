//! The client against servers on this machine.

use super::{
    Destination, HttpClient, Limits, NetError, OAuthHttp, Outbound, Request, address, resolver::Lookup,
};
use crate::domain::{Clock, ManualClock, SystemClock, Timestamp};
use axum::{Router, body::Body, http::HeaderMap as Headers, response::Redirect, routing::get};
use http::{HeaderMap, Method, StatusCode};
use oauth2::AsyncHttpClient;
use openidconnect::core::CoreProviderMetadata;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use url::Url;

const LIMITS: Limits = Limits { max_bytes: 1024, total_deadline: Duration::from_secs(20) };

/// Answers every name with the same addresses.
struct Fixed(Vec<IpAddr>);

#[async_trait::async_trait]
impl Lookup for Fixed {
    async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

/// Ends its server when the test ends.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }
}

fn local() -> Destination {
    Destination { name: "peer".to_owned(), loopback_http: true, ..Destination::default() }
}

fn client(destination: &Destination, lookup: Option<Vec<IpAddr>>) -> HttpClient {
    let clock = Arc::new(SystemClock::default());
    match lookup {
        Some(addresses) => Outbound::with_lookup(clock, Arc::new(Fixed(addresses))),
        None => Outbound::new(clock),
    }
    .client(destination)
    .unwrap()
}

fn fetch(url: Url) -> Request {
    Request { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new() }
}

/// Proves: NE2
#[test]
fn ne2_only_public_addresses_may_be_connected_to() {
    for special in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!address::may_connect(special.parse().unwrap(), &[]), "{special}");
    }
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860::1",
    ] {
        assert!(address::may_connect(public.parse().unwrap(), &[]), "{public}");
    }
    let allowed = ["10.1.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()];
    for (address, ok) in [
        ("10.1.2.3", true),
        ("10.2.0.1", false),
        ("fd12::1", true),
        ("fd13::1", false),
        ("::ffff:10.1.2.3", false),
    ] {
        assert_eq!(address::may_connect(address.parse().unwrap(), &allowed), ok, "{address}");
    }
}

/// Proves: NE2
#[tokio::test]
async fn ne2_literal_addresses_are_checked_however_they_are_written() {
    let client = client(&Destination::default(), None);
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "https://[64:ff9b::7f00:1]/",
        "https://0/",
    ] {
        let error = client.send(fetch(url.parse().unwrap()), LIMITS).await.unwrap_err();
        assert!(matches!(error, NetError::Refused { .. }), "{url}: {error:?}");
        assert!(!error.maybe_received());
    }
}

/// Proves: NE2
#[tokio::test]
async fn ne2_a_name_that_resolves_to_refused_addresses_is_refused_after_dns() {
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
        let client = client(&Destination::default(), Some(vec![address.parse().unwrap()]));
        let error =
            client.send(fetch("https://rebound.example/".parse().unwrap()), LIMITS).await.unwrap_err();
        assert!(matches!(error, NetError::Refused { address: a } if a.to_string() == address), "{error:?}");
    }
}

/// Proves: NE2
#[tokio::test]
async fn ne2_localhost_is_not_trusted_to_be_loopback() {
    let destination = Destination { allowed_networks: vec!["10.0.0.0/8".parse().unwrap()], ..local() };
    let client = client(&destination, Some(vec!["10.0.0.1".parse().unwrap()]));
    let error = client.send(fetch("http://localhost:9/".parse().unwrap()), LIMITS).await.unwrap_err();
    assert!(matches!(error, NetError::Refused { .. }), "{error:?}");
}

/// Proves: NE2
#[tokio::test]
async fn ne2_what_passed_the_filter_is_what_is_connected_to() {
    let server = Server::start(Router::new().route("/", get(|| async { "here" }))).await;
    // The refused address comes first in the answer and must not be tried.
    let client = client(&local(), Some(vec!["10.255.255.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]));
    let url = format!("http://app.localhost:{}/", server.address.port()).parse().unwrap();
    let response = client.send(fetch(url), LIMITS).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (StatusCode::OK, b"here".as_slice()));
}

/// Proves: NE2
#[tokio::test]
async fn ne2_plain_http_needs_a_loopback_peer_that_is_allowed() {
    let server = Server::start(Router::new().route("/", get(|| async { "here" }))).await;
    let open = Destination { allowed_networks: vec!["0.0.0.0/0".parse().unwrap()], ..Destination::default() };
    for (destination, url) in [
        (&open, server.url("/").to_string()),
        (&local(), "http://example.com/".to_owned()),
        (&local(), "http://10.0.0.1/".to_owned()),
        (&local(), "http://[::ffff:127.0.0.1]/".to_owned()),
        (&local(), "ftp://127.0.0.1/".to_owned()),
    ] {
        let error = client(destination, None).send(fetch(url.parse().unwrap()), LIMITS).await.unwrap_err();
        assert!(matches!(error, NetError::Insecure), "{url}: {error:?}");
    }
    assert!(client(&local(), None).send(fetch(server.url("/")), LIMITS).await.is_ok());
}

#[tokio::test]
async fn credentials_in_a_url_are_refused() {
    let error = client(&local(), None).send(fetch("https://a:b@example.com/".parse().unwrap()), LIMITS).await;
    assert!(matches!(error, Err(NetError::Malformed(_))));
}

/// Proves: NE2
#[tokio::test]
async fn ne2_a_redirect_is_an_answer_and_is_not_followed() {
    let router = Router::new()
        .route("/", get(|| async { Redirect::temporary("/elsewhere") }))
        .route("/elsewhere", get(|| async { "followed" }));
    let server = Server::start(router).await;
    let response = client(&local(), None).send(fetch(server.url("/")), LIMITS).await.unwrap();
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
    assert!(response.body.is_empty());
}

/// Proves: NE2
#[tokio::test]
async fn ne2_a_response_over_the_limit_is_an_error_announced_or_not() {
    let chunks = || futures::stream::iter((0..5).map(|_| Ok::<_, io::Error>(vec![b'x'; 256])));
    let router = Router::new()
        .route("/announced", get(|| async { "x".repeat(1025) }))
        .route("/streamed", get(move || async move { Body::from_stream(chunks()) }))
        .route("/fits", get(|| async { "x".repeat(1024) }));
    let server = Server::start(router).await;
    let client = client(&local(), None);
    for path in ["/announced", "/streamed"] {
        let error = client.send(fetch(server.url(path)), LIMITS).await.unwrap_err();
        assert!(matches!(error, NetError::TooBig { limit: 1024 }), "{path}: {error:?}");
        assert!(error.maybe_received());
    }
    assert_eq!(client.send(fetch(server.url("/fits")), LIMITS).await.unwrap().body.len(), 1024);
}

/// Proves: NE2
#[tokio::test]
async fn ne2_the_deadline_covers_the_last_byte_of_the_body() {
    let body = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, io::Error>>());
    let server = Server::start(Router::new().route("/", get(move || async move { body() }))).await;
    let limits = Limits { total_deadline: Duration::from_millis(200), ..LIMITS };
    let error = client(&local(), None).send(fetch(server.url("/")), limits).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout), "{error:?}");
}

#[tokio::test]
async fn nobody_listening_and_a_broken_connection_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let hang_up = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let _ = peer.read(&mut [0; 64]).await;
    };
    let client = client(&local(), None);
    let (broken, ()) = tokio::join!(client.send(fetch(url.clone()), LIMITS), hang_up);
    assert!(matches!(broken, Err(NetError::Broken)), "{broken:?}");
    drop(listener);
    let refused = client.send(fetch(url), LIMITS).await.unwrap_err();
    assert!(matches!(refused, NetError::Connect) && !refused.maybe_received(), "{refused:?}");
}

#[tokio::test]
async fn requests_say_who_we_are_and_nothing_else() {
    let seen = |headers: Headers| async move {
        let names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        format!("{} {}", names.join(","), headers["user-agent"].to_str().unwrap())
    };
    let server = Server::start(Router::new().route("/", get(seen))).await;
    let response = client(&local(), None).send(fetch(server.url("/")), LIMITS).await.unwrap();
    let seen = String::from_utf8(response.body).unwrap();
    let expected = format!("accept,host,user-agent broker/{}", env!("CARGO_PKG_VERSION"));
    let mut names: Vec<_> = seen.split(' ').next().unwrap().split(',').collect();
    names.sort_unstable();
    assert_eq!(format!("{} {}", names.join(","), seen.split(' ').nth(1).unwrap()), expected);
}

#[tokio::test]
async fn the_oauth_crates_can_use_the_client() {
    let server = Server::start(Router::new().route("/", get(|| async { "here" }))).await;
    let http = OAuthHttp::new(client(&local(), None), LIMITS);
    let request = http::Request::get(server.url("/").as_str()).body(Vec::new()).unwrap();
    let response = http.call(request).await.unwrap();
    assert_eq!((response.status(), response.body().as_slice()), (StatusCode::OK, b"here".as_slice()));
}

/// Proves: NE3
#[tokio::test]
async fn ne3_discovery_goes_through_the_client_and_its_filter() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/a","token_endpoint":"{issuer}/t",
            "jwks_uri":"{issuer}/jwks","response_types_supported":["code"],"subject_types_supported":["public"],
            "id_token_signing_alg_values_supported":["ES256"]}}"#
    );
    let json = |body: String| async move { ([("content-type", "application/json")], body) };
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(move || json(metadata)))
        .route("/jwks", get(move || json(r#"{"keys":[]}"#.to_owned())));
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let _server = Server { address, task };
    let issuer = openidconnect::IssuerUrl::new(issuer).unwrap();
    let http = OAuthHttp::new(client(&local(), None), LIMITS);
    let found = CoreProviderMetadata::discover_async(issuer.clone(), &http).await.unwrap();
    assert_eq!(found.issuer(), &issuer);
    let strict = OAuthHttp::new(client(&Destination::default(), None), LIMITS);
    assert!(CoreProviderMetadata::discover_async(issuer, &strict).await.is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let mut request = fetch("https://example.com/path?code=canary".parse().unwrap());
    request.body = b"canary".to_vec();
    request.headers.insert("authorization", "canary".parse().unwrap());
    assert!(!format!("{request:?}").contains("canary"));
}

/// A TLS server that answers one request per connection; its certificate is for `localhost`, valid in 2030 only.
async fn tls_server() -> (Server, String) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    params.not_after = rcgen::date_time_ymd(2031, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(peer).await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsafe").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (Server { address, task }, certificate.pem())
}

/// Proves: NE2, NE3
#[tokio::test]
async fn ne3_a_private_ca_is_trusted_for_its_destination_only_and_certificates_are_judged_by_the_clock() {
    let (server, pem) = tls_server().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let plain = Destination { allowed_networks: vec!["127.0.0.0/8".parse().unwrap()], ..local() };
    let trusting = Destination { ca_file: Some(file), ..plain.clone() };
    let valid = Timestamp::parse_rfc3339("2030-06-01T00:00:00Z").unwrap();
    let later = Timestamp::parse_rfc3339("2032-06-01T00:00:00Z").unwrap();
    for (destination, now, trusted) in
        [(&trusting, valid, true), (&plain, valid, false), (&trusting, later, false)]
    {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
        let lookup = Arc::new(Fixed(vec!["127.0.0.1".parse().unwrap()]));
        let client = Outbound::with_lookup(clock, lookup).client(destination).unwrap();
        let url = format!("https://localhost:{}/", server.address.port()).parse().unwrap();
        match client.send(fetch(url), LIMITS).await {
            Ok(response) => assert!(trusted && response.body == b"safe"),
            Err(error) => assert!(!trusted && matches!(error, NetError::Tls), "{now}: {error:?}"),
        }
    }
}

/// Proves: NE3
#[test]
fn ne3_a_ca_file_that_cannot_be_used_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for file in [empty, directory.path().join("missing.pem")] {
        let destination = Destination { ca_file: Some(file), ..Destination::default() };
        let result = Outbound::new(Arc::new(SystemClock::default())).client(&destination);
        assert!(matches!(result, Err(NetError::Misconfigured(_))));
    }
}
