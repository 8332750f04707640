//! One accepted connection, TLS or not. Whoever opens one and says nothing is cut off.

use super::slots::Slot;
use crate::metrics::OpenConnection;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// How an HTTP/2 client begins (RFC 9113 §3.4). Neither hyper nor h2 limits how long it takes.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes there and back.
pub(super) enum Stream {
    /// Plain: loopback, or a mesh ends TLS.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// An accepted connection.
pub struct Conn {
    stream: Stream,
    peer: Peer,
    opening: Option<Opening>,
    _place: Place,
}

/// Its place among the listener's open connections, and in their number.
pub(super) struct Place {
    pub(super) _slot: Slot,
    pub(super) _open: OpenConnection,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Their address; of an IPv4 peer the IPv4 one, on a dual-stack listener too.
    pub address: SocketAddr,
}

/// Until the client has said which HTTP it speaks: the rest of the preface, and when it has to be there.
struct Opening {
    left: &'static [u8],
    deadline: Pin<Box<Sleep>>,
}

impl Conn {
    /// `first_bytes`: how long the client may take to say which HTTP it speaks.
    pub(super) fn new(stream: Stream, address: SocketAddr, place: Place, first_bytes: Duration) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let opening = Opening { left: PREFACE, deadline: Box::pin(tokio::time::sleep(first_bytes)) };
        Self { stream, peer: Peer { address }, opening: Some(opening), _place: place }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }
}

impl Opening {
    /// Whether the client is still at its preface after these bytes.
    fn continues(&mut self, read: &[u8]) -> bool {
        match self.left.strip_prefix(read) {
            Some(left) => {
                self.left = left;
                !left.is_empty()
            }
            None => false,
        }
    }
}

impl Connected for Conn {
    type ConnectInfo = Option<Peer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Some(self.peer)
    }
}

impl AsyncRead for Conn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, opening, .. } = self.get_mut();
        let before = buf.filled().len();
        let read = match stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        let Some(open) = opening else { return read };
        if read.is_pending() {
            ready!(open.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if !open.continues(&buf.filled()[before..]) {
            *opening = None;
        }
        read
    }
}

impl AsyncWrite for Conn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    // An answer's head, body and end leave in one system call, and in one packet.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
