//! Serves a router on the loopback interface and can lose a reply on purpose.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

/// A port of our own, taken before the router is built because pages and metadata name their own address.
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes a free port on 127.0.0.1.
    pub(crate) async fn loopback() -> io::Result<Bound> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }

    /// The origin pages are served from, such as `http://127.0.0.1:40123`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts serving; dropping the result closes the port and every connection.
    pub(crate) fn serve(self, router: Router) -> Server {
        Server { task: tokio::spawn(accept(self.listener, router)) }
    }
}

/// A running server.
pub(crate) struct Server {
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Marks a response that must never reach the caller: the connection closes instead.
#[derive(Clone, Copy)]
struct Lost;

/// A reply that is lost on the way: the server did its work, the caller sees a broken connection.
pub(crate) fn lost_reply() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Lost);
    response
}

async fn accept(listener: TcpListener, router: Router) {
    // Owned here, so that aborting this task closes the connections too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(converse(stream, router.clone())); }
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let service =
        hyper::service::service_fn(move |request: Request<Incoming>| answer(router.clone(), request));
    let mut http = hyper::server::conn::http1::Builder::new();
    // The peer sees every failure as a closed connection; there is nobody else to tell.
    let _ = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(router: Router, request: Request<Incoming>) -> io::Result<Response> {
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    if response.extensions().get::<Lost>().is_some() {
        return Err(io::Error::other("reply lost on purpose"));
    }
    Ok(response)
}
