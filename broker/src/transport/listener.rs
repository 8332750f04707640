//! Listening sockets. We accept TLS ourselves, so that certificates reload and the peer's identity is our own handshake's (NE4).

use rustls::ServerConfig;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// A handshake slower than this is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Accepted connections waiting to be served.
const BACKLOG: usize = 256;
/// Handshakes under way at once; a further connection is closed.
const HANDSHAKES: usize = 1024;
/// The same from one address.
const HANDSHAKES_PER_ADDRESS: usize = HANDSHAKES / 2;

/// Yields the TLS configuration for each new connection: a reload takes effect at the next one.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// An accepted connection.
pub enum Conn {
    /// Plain: loopback, or a mesh ends TLS.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Their address.
    pub address: SocketAddr,
}

impl Conn {
    fn peer(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Accepted>> for Peer {
    fn connect_info(stream: axum::serve::IncomingStream<'_, Accepted>) -> Self {
        Self { address: *stream.remote_addr() }
    }
}

impl Connected for Conn {
    type ConnectInfo = Option<Peer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.peer().ok().map(|address| Peer { address })
    }
}

impl AsyncRead for Conn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Accepted connections, handshakes done. Ends when told to stop.
pub struct Accepted {
    connections: mpsc::Receiver<(Conn, SocketAddr)>,
    local: SocketAddr,
}

impl Accepted {
    /// Accepts on a bound socket until `stop`.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn on(
        socket: std::net::TcpListener,
        tls: Option<TlsSource>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let local = listener.local_addr()?;
        let (sender, connections) = mpsc::channel(BACKLOG);
        tokio::spawn(accept_loop(listener, tls, sender, stop));
        Ok(Self { connections, local })
    }

    /// The address really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The connections as a stream, for tonic.
    pub fn into_stream(self) -> impl futures::Stream<Item = io::Result<Conn>> {
        futures::stream::unfold(self.connections, |mut connections| async {
            let (conn, _) = connections.recv().await?;
            Some((Ok(conn), connections))
        })
    }
}

impl axum::serve::Listener for Accepted {
    type Io = Conn;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(accepted) => accepted,
            // Stopped: nothing more will come; the server's own shutdown ends the wait.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.local)
    }
}

/// Handshakes under way at once, by address.
#[derive(Clone, Default)]
struct Handshakes(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One handshake; given back when dropped.
struct Handshake {
    all: Handshakes,
    from: IpAddr,
}

impl Handshakes {
    /// `None` when there are too many from this address, or altogether.
    fn begin(&self, from: IpAddr) -> Option<Handshake> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.entry(from).or_default();
        if *own >= HANDSHAKES_PER_ADDRESS || all >= HANDSHAKES {
            return None;
        }
        *own += 1;
        Some(Handshake { all: self.clone(), from })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = counts.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

async fn accept_loop(
    listener: TcpListener,
    tls: Option<TlsSource>,
    sender: mpsc::Sender<(Conn, SocketAddr)>,
    stop: CancellationToken,
) {
    let handshakes = Handshakes::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors and the like: pause instead of spinning.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(tls) = &tls else {
            if sender.send((Conn::Plain(stream), peer)).await.is_err() {
                return;
            }
            continue;
        };
        let acceptor = TlsAcceptor::from(tls());
        let sender = sender.clone();
        // Whoever opens connections and says nothing fills their own share, not everybody's.
        let Some(turn) = handshakes.begin(peer.ip()) else { continue };
        tokio::spawn(async move {
            let _turn = turn;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                let _ = sender.send((Conn::Tls(Box::new(stream)), peer)).await;
            }
        });
    }
}
