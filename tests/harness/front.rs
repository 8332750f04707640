//! A loopback load balancer for pages: one address, and whichever replicas it points at.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use crate::browser::http_client;

/// Larger than any form of the pages.
const MOST: usize = 1 << 20;

/// Whose turn is next comes first.
type Turns = Arc<Mutex<VecDeque<SocketAddr>>>;

/// Serves until dropped.
pub struct Front {
    turns: Turns,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Forwarder {
    turns: Turns,
    client: reqwest::Client,
}

impl Front {
    /// Listens on `address` and hands every request to `target`.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn at(address: SocketAddr, target: SocketAddr) -> Front {
        let listener = TcpListener::bind(address).expect("the front's address");
        listener.set_nonblocking(true).expect("a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let turns = Turns::new(Mutex::new([target].into()));
        let forwarder = Forwarder { turns: Arc::clone(&turns), client: http_client() };
        let router = Router::new().fallback(forward).with_state(forwarder);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Front { turns, serving }
    }

    /// From now on requests go to these, one after the other.
    pub fn point_at(&self, targets: impl IntoIterator<Item = SocketAddr>) {
        *self.turns.lock().expect("no holder panicked") = targets.into_iter().collect();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(State(forwarder): State<Forwarder>, request: Request<Body>) -> Response {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = {
        let mut turns = forwarder.turns.lock().expect("no holder panicked");
        turns.rotate_left(1);
        *turns.back().expect("it points somewhere")
    };
    // The browser's own Host goes along: to the broker it is as if there were no front.
    let sent = forwarder.client.request(method, format!("http://{target}{uri}")).headers(headers).body(body);
    match sent.send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), whole(answer.headers()));
            match answer.bytes().await {
                Ok(body) => (status, headers, body).into_response(),
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
        Err(_) => (StatusCode::BAD_GATEWAY, Bytes::new()).into_response(),
    }
}

/// Without what belongs to the connection behind the front.
fn whole(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}
