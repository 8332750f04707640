//! Listening sockets. We accept TLS ourselves, so that certificates reload and the peer's identity is our own handshake's (NE4).

use super::{
    conn::{Conn, Place, Stream},
    slots::Slots,
};
use crate::metrics::Metrics;
use rustls::ServerConfig;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use super::conn::Peer;

/// Accepted connections waiting to be served.
const BACKLOG: usize = 256;
/// Handshakes under way at once; a further connection is closed.
const HANDSHAKES: usize = 1024;

/// Yields the TLS configuration for each new connection: a reload takes effect at the next one.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// What one listener takes on.
#[derive(Clone, Debug)]
pub struct Intake {
    /// What the metrics call this listener.
    pub listener: &'static str,
    /// Counts its connections.
    pub metrics: Metrics,
    /// Most connections open at once, half of them from one address. A further one is closed at once: its client learns
    /// so and can try elsewhere, which it could not while it waited unaccepted.
    pub connections: usize,
    /// Longest for a TLS handshake, and after it for the client to say which HTTP it speaks.
    pub opening: Duration,
}

impl Intake {
    /// That many connections, each opened within ten seconds.
    pub fn of(listener: &'static str, connections: usize, metrics: Metrics) -> Self {
        Self { listener, metrics, connections, opening: Duration::from_secs(10) }
    }
}

/// Accepted connections, handshakes done. Ends when told to stop.
pub struct Accepted {
    connections: mpsc::Receiver<Conn>,
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
        intake: Intake,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let local = listener.local_addr()?;
        let (sender, connections) = mpsc::channel(BACKLOG);
        let door = Door {
            tls,
            open: Slots::new(intake.connections),
            intake,
            handshakes: Slots::new(HANDSHAKES),
            sender,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = door.accept(&listener) => {}
            }
        });
        Ok(Self { connections, local })
    }

    /// The address really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next one; `None` once told to stop and all are taken.
    pub(super) async fn next(&mut self) -> Option<Conn> {
        self.connections.recv().await
    }

    /// The connections as a stream, for tonic.
    pub fn into_stream(self) -> impl futures::Stream<Item = io::Result<Conn>> {
        futures::stream::unfold(self, |mut accepted| async { Some((Ok(accepted.next().await?), accepted)) })
    }
}

/// Where connections come in.
struct Door {
    tls: Option<TlsSource>,
    intake: Intake,
    /// Connections from the accept to their end.
    open: Slots,
    handshakes: Slots,
    sender: mpsc::Sender<Conn>,
}

impl Door {
    async fn accept(self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                // Whoever opens too many fills their own share, not everybody's.
                Ok((stream, peer)) => {
                    let Some(slot) = self.open.take(peer.ip()) else {
                        self.intake.metrics.connection_refused(self.intake.listener);
                        continue;
                    };
                    let place =
                        Place { _slot: slot, _open: self.intake.metrics.connection(self.intake.listener) };
                    if !self.admit(stream, peer, place).await {
                        return;
                    }
                }
                Err(error) => {
                    // Out of file descriptors and the like: pause instead of spinning.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Hands a connection on, after its handshake; nothing here waits for a client. `false` when nobody serves any more.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr, place: Place) -> bool {
        let _ = stream.set_nodelay(true);
        let opening = self.intake.opening;
        let Some(tls) = &self.tls else {
            return self.sender.send(Conn::new(Stream::Plain(stream), peer, place, opening)).await.is_ok();
        };
        let Some(turn) = self.handshakes.take(peer.ip()) else { return true };
        let (acceptor, sender) = (TlsAcceptor::from(tls()), self.sender.clone());
        tokio::spawn(async move {
            let _turn = turn;
            if let Ok(Ok(stream)) = tokio::time::timeout(opening, acceptor.accept(stream)).await {
                let _ = sender.send(Conn::new(Stream::Tls(Box::new(stream)), peer, place, opening)).await;
            }
        });
        true
    }
}
