use super::*;
use crate::{
    metrics::Metrics,
    transport::listener::{Intake, TlsSource},
};
use axum::routing::{get, post};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};

/// Longer is a hang.
const HANG: Duration = Duration::from_secs(10);
/// A limit that a test waits for.
const SOON: Duration = Duration::from_millis(100);
/// A limit that must not be what ends a connection.
const LATER: Duration = Duration::from_secs(600);

const PATIENT: Patience = Patience { head: LATER, request: LATER, idle: LATER, goodbye: LATER };

fn intake(connections: usize, opening: Duration) -> Intake {
    Intake { opening, ..Intake::of("test", connections, Metrics::default()) }
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    /// A request to `/wait` has begun.
    begun: Arc<Notify>,
    /// Lets it end.
    release: Arc<Notify>,
}

impl Server {
    fn start(patience: Patience) -> Self {
        Self::with(patience, intake(64, LATER), None)
    }

    fn with(patience: Patience, intake: Intake, tls: Option<TlsSource>) -> Self {
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&release));
        let waiting = async move || {
            tell.notify_one();
            wait.notified().await;
            "done"
        };
        let peer = async |peer: ConnectInfo<Peer>| peer.0.address.to_string();
        let app = Router::new()
            .route("/", get(peer))
            .route("/form", post(async |body: String| body))
            .route("/wait", get(waiting));
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stop = CancellationToken::new();
        let accepted = Accepted::on(socket, tls, intake, stop.clone()).unwrap();
        let address = accepted.local_addr();
        let serving = tokio::spawn(serve(accepted, app, patience, stop.clone()));
        Self { address, stop, serving, begun, release }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Says `what` and nothing more; the answer, when the server closes.
    async fn say(&self, what: &[u8]) -> Vec<u8> {
        let mut stream = self.dial().await;
        stream.write_all(what).await.unwrap();
        rest(&mut stream).await
    }
}

/// What comes until the connection is closed, which it must be.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(HANG, stream.read_to_end(&mut said)).await;
    // A reset is an end too.
    let _ = read.expect("the connection is closed");
    said
}

/// Whether a request on this connection is answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    let talk = async {
        let mut answer = Vec::new();
        // HEAD: the answer ends with its head.
        stream.write_all(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").await.ok()?;
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.ok()?);
        }
        Some(answer)
    };
    let answer = tokio::time::timeout(HANG, talk).await.expect("served or closed");
    answer.is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

fn status(said: &[u8]) -> &[u8] {
    said.get(9..12).unwrap_or_default()
}

/// Proves: AV2
#[tokio::test]
async fn av2_a_head_that_stops_is_cut_off() {
    let server = Server::start(Patience { head: SOON, ..PATIENT });
    for head in ["G", "GET / HTTP/1.1\r\nx", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: 1\r\n"] {
        let said = server.say(head.as_bytes()).await;
        assert!(said.is_empty() || status(&said) == b"408", "{head:?}");
    }
    // The next head on a connection that was served has no more time.
    let mut stream = server.dial().await;
    assert!(is_served(&mut stream).await);
    stream.write_all(b"GET / HT").await.unwrap();
    rest(&mut stream).await;
}

/// Proves: AV2
#[tokio::test]
async fn av2_a_client_that_does_not_say_which_http_it_speaks_is_cut_off() {
    let server = Server::with(PATIENT, intake(64, SOON), None);
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        assert!(server.say(beginning.as_bytes()).await.is_empty(), "{beginning:?}");
    }
}

/// Proves: AV2
#[tokio::test]
async fn av2_a_body_that_trickles_and_an_answer_that_does_not_come_end_in_time() {
    let server = Server::start(Patience { request: SOON, ..PATIENT });
    let head = "POST /form HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\na=";
    let said = server.say(head.as_bytes()).await;
    assert_eq!(status(&said), b"408", "{}", String::from_utf8_lossy(&said));
    let head = "GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = server.say(head.as_bytes()).await;
    assert_eq!(status(&said), b"503", "{}", String::from_utf8_lossy(&said));
}

/// Proves: AV2
#[tokio::test]
async fn av2_idle_connections_end_and_busy_ones_do_not() {
    let server = Server::start(Patience { idle: SOON, goodbye: SOON, ..PATIENT });
    let mut stream = server.dial().await;
    assert!(is_served(&mut stream).await);
    rest(&mut stream).await;
    // HTTP/2: its preface and an empty SETTINGS frame, then nothing; our PING stays without an answer.
    let said = server.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(frames(&said).iter().any(|(kind, _)| *kind == GOAWAY), "{said:?}");

    let mut busy = server.dial().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.begun.notified().await;
    // Another connection comes, idles and goes while this one waits.
    server.say(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.release.notify_one();
    assert_eq!(status(&rest(&mut busy).await), b"200");
}

/// Proves: AV2
#[tokio::test]
async fn av2_too_many_and_too_large_headers_are_refused() {
    let server = Server::start(PATIENT);
    let start = "GET / HTTP/1.1\r\nx: y\r\n";
    let many = format!("{start}{}\r\n", "x: y\r\n".repeat(HEADERS));
    let large = format!("{start}x: {}", "y".repeat(HEADER_BYTES as usize - start.len() - 3));
    for head in [many, large] {
        let mut stream = server.dial().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(HANG, stream.read_exact(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(status(&answer), b"431");
    }
}

const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// HTTP/2 frames: type and payload (RFC 9113 §4.1).
fn frames(mut said: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _flags, _, _, _, _, rest @ ..] = said {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some((payload, next)) = rest.split_at_checked(length) else { break };
        frames.push((*kind, payload.to_vec()));
        said = next;
    }
    frames
}

/// Proves: AV2
#[tokio::test]
async fn av2_streams_are_bounded_and_rapid_resets_end_the_connection() {
    let server = Server::start(PATIENT);
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for number in 0..200_u32 {
        let stream = (2 * number + 1).to_be_bytes();
        // GET http://x/ and, before it is served, RST_STREAM with CANCEL.
        flood.extend([&[0, 0, 6, 1, 5], &stream[..], b"\x82\x86\x84\x41\x01x"].concat());
        flood.extend([&[0, 0, 4, 3, 0], &stream[..], &[0, 0, 0, 8]].concat());
    }
    let said = frames(&server.say(&flood).await);
    let (_, settings) = &said[0];
    assert!(settings.chunks(6).any(|one| one == [0, 3, 0, 0, 0, 64]), "64 streams: {settings:?}");
    assert!(settings.chunks(6).any(|one| one == [0, 6, 0, 0, 96, 0]), "24 KiB of headers: {settings:?}");
    let (_, goaway) = said.iter().find(|(kind, _)| *kind == GOAWAY).expect("GOAWAY");
    assert_eq!(goaway[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
}

/// Proves: AV1
#[tokio::test]
async fn av1_connections_beyond_the_cap_are_closed_and_those_within_it_are_served() {
    let server = Server::with(PATIENT, intake(4, LATER), None);
    let (mut first, mut second) = (server.dial().await, server.dial().await);
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    // One address has half of the places.
    for _ in 0..20 {
        assert!(server.say(b"").await.is_empty());
    }
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    drop(first);
    let again = async { while !is_served(&mut server.dial().await).await {} };
    tokio::time::timeout(HANG, again).await.expect("a place that is given back is taken again");
    assert!(is_served(&mut second).await);
}

/// Proves: NE4
#[tokio::test]
async fn ne4_a_handshake_that_never_comes_ends() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                key.signing_key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
    let config = Arc::new(config);
    let tls: TlsSource = Arc::new(move || Arc::clone(&config));
    let server = Server::with(PATIENT, intake(64, SOON), Some(tls));
    for hello in [&b""[..], &[0x16, 0x03, 0x01, 0x02]] {
        assert!(server.say(hello).await.is_empty());
    }
}

/// Proves: AV5
#[tokio::test]
async fn av5_a_stop_finishes_what_runs_ends_what_idles_and_takes_nothing_new() {
    let server = Server::start(PATIENT);
    let mut idle = server.dial().await;
    assert!(is_served(&mut idle).await);
    let mut busy = server.dial().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.begun.notified().await;
    server.stop.cancel();
    rest(&mut idle).await;
    let gone = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(HANG, gone).await.expect("nothing new is accepted");
    assert!(!server.serving.is_finished());
    server.release.notify_one();
    let said = rest(&mut busy).await;
    assert!(status(&said) == b"200" && said.ends_with(b"done"), "{}", String::from_utf8_lossy(&said));
    tokio::time::timeout(HANG, server.serving).await.expect("ends").unwrap();
}

/// A client that never reads its answer or never ends its request does not hold up the stop.
///
/// Proves: AV5
#[tokio::test]
async fn av5_a_request_that_never_ends_is_cut_off_after_the_stop() {
    let server = Server::start(Patience { request: SOON, goodbye: SOON, ..PATIENT });
    let mut stuck = server.dial().await;
    stuck.write_all(b"POST /form HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(HANG, server.serving).await.expect("ends").unwrap();
}
