//! Pages and operations over accepted connections, with a limit on everything a client could drag out (AV2).
//!
//! A connection ends when it is idle for too long, whatever the reason: no first request, a header that trickles, nothing
//! after an answer, an answer nobody reads. A request ends with an answer within its time, its body arrived or not.

mod body;
#[cfg(test)]
mod tests;

use super::{
    conn::{Conn, Peer},
    listener::Accepted,
};
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use body::Arriving;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::{Builder, Connection},
};
use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Header fields of an HTTP/1 request; more are answered with 431.
const HEADERS: usize = 64;
/// Bytes of an HTTP/1 request's head, or of an HTTP/2 header list.
const HEADER_BYTES: u32 = 24 * 1024;
/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 64;
/// Streams reset before they were served, and by our own errors; beyond it the connection ends (CVE-2023-44487).
const RESETS: usize = 32;
/// How often an HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until an HTTP/1 request's head is complete, the wait for its first byte included.
    pub head: Duration,
    /// For a request, from its head to its answer, its body included.
    pub request: Duration,
    /// Without any request under way.
    pub idle: Duration,
    /// For a connection to end once it was told to and nothing runs on it.
    pub goodbye: Duration,
}

impl Patience {
    /// The values in service; only the time for a request is the operator's.
    pub fn with_requests_of(request: Duration) -> Self {
        Self {
            head: Duration::from_secs(10),
            request,
            idle: Duration::from_secs(60),
            goodbye: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop`; then nothing new is taken, and what runs is finished.
pub async fn serve(mut accepted: Accepted, app: Router, patience: Patience, stop: CancellationToken) {
    let (builder, open) = (Arc::new(builder(patience)), TaskTracker::new());
    loop {
        let conn = tokio::select! {
            () = stop.cancelled() => break,
            conn = accepted.next() => conn,
        };
        let Some(conn) = conn else { break };
        let (builder, app, stop) = (Arc::clone(&builder), app.clone(), stop.clone());
        open.spawn(async move { converse(&builder, conn, app, patience, stop).await });
    }
    open.close();
    open.wait().await;
}

fn builder(patience: Patience) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// One connection, from its first request to its end.
async fn converse(
    builder: &Builder<TokioExecutor>,
    conn: Conn,
    app: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    let peer = conn.peer();
    let (running, mut changes) = watch::channel(0_usize);
    let service = service_fn(move |request| {
        let turn = Turn::begin(&running);
        let answer = answer(app.clone(), request, peer, patience.request);
        async move {
            let _turn = turn;
            Ok::<_, Infallible>(answer.await)
        }
    });
    let mut conn = std::pin::pin!(builder.serve_connection(TokioIo::new(conn), service));
    let last = tokio::select! {
        _ = conn.as_mut() => return,
        () = stop.cancelled() => patience.request + patience.goodbye,
        () = idle(&mut changes, patience.idle) => patience.goodbye,
    };
    end(conn, last).await;
}

/// Tells the client that this connection ends, and cuts it off after `last`.
async fn end<I, S>(mut conn: Pin<&mut Connection<'_, I, S, TokioExecutor>>, last: Duration)
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    conn.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(last, conn).await;
}

/// Ends when nothing ran for `limit`.
async fn idle(running: &mut watch::Receiver<usize>, limit: Duration) {
    loop {
        if *running.borrow_and_update() > 0 {
            // The sender lives in the connection, which outlives this wait.
            if running.changed().await.is_err() {
                return;
            }
            continue;
        }
        if tokio::time::timeout(limit, running.changed()).await.is_err() {
            return;
        }
    }
}

/// One request under way.
struct Turn(watch::Sender<usize>);

impl Turn {
    fn begin(running: &watch::Sender<usize>) -> Self {
        running.send_modify(|count| *count += 1);
        Self(running.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The application's answer, or what became of it: 408 when the body did not arrive in time, 503 when the answer did not.
async fn answer(app: Router, request: Request<Incoming>, peer: Peer, limit: Duration) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(ConnectInfo(peer));
    let (body, arrived) = Arriving::new(body);
    let request = Request::from_parts(parts, Body::new(body));
    match tokio::time::timeout(limit, app.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Err(_) if arrived.yet() => too_late(StatusCode::SERVICE_UNAVAILABLE),
        Err(_) => too_late(StatusCode::REQUEST_TIMEOUT),
    }
}

fn too_late(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from("This took too long. Please try again.\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
