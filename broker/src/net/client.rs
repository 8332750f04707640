//! One request, one response, both bounded.

use super::{Destination, NetError, address::may_connect};
use crate::trace::{self, step};
use http::{HeaderMap, Method, StatusCode};
use std::{fmt, sync::Arc, time::Duration};
use tracing::{Span, field::Empty};
use url::{Host, Url};

/// What is sent.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to, from configuration or validated metadata (NE1).
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; empty = none.
    pub body: Vec<u8>,
}

/// Bodies, headers and query strings may hold secrets: not printed.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.url.host_str().unwrap_or_default())
    }
}

/// How much and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest response body in bytes.
    pub max_bytes: usize,
    /// From the call to the body's last byte: DNS, connecting and TLS included.
    pub total_deadline: Duration,
}

/// What came back, whatever the status; a redirect is a response like any other.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Bodies and headers may hold secrets: not printed.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}

/// Talks to one destination.
#[derive(Clone)]
pub struct HttpClient {
    http: reqwest::Client,
    destination: Arc<Destination>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.destination.name)
    }
}

impl HttpClient {
    pub(super) fn new(http: reqwest::Client, destination: Arc<Destination>) -> Self {
        Self { http, destination }
    }

    /// Sends once; never follows a redirect and never sends again.
    ///
    /// # Errors
    /// [`NetError`]; a response with an error status is not one.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Response, NetError> {
        let span = self.span(&request);
        let exchange = async {
            self.check(&request.url)?;
            tokio::time::timeout(limits.total_deadline, self.exchange(request, limits.max_bytes))
                .await
                .unwrap_or(Err(NetError::Timeout))
        };
        let response = trace::within(span.clone(), exchange).await;
        if let Ok(response) = &response {
            span.record("http.response.status_code", response.status.as_u16());
            if response.status.is_client_error() || response.status.is_server_error() {
                trace::failed(&span, response.status.as_str());
            }
        }
        response
    }

    /// Semantic conventions, "HTTP client span". A query or a user name in the URL is left out: it may be anything.
    fn span(&self, request: &Request) -> Span {
        let plain = || Some(format!("{}{}", request.url.origin().ascii_serialization(), request.url.path()));
        step!(
            "http",
            otel.name = request.method.as_str(),
            otel.kind = "client",
            http.request.method = request.method.as_str(),
            http.response.status_code = Empty,
            server.address = request.url.host_str(),
            server.port = request.url.port_or_known_default(),
            url.full = plain(),
            broker.destination = self.destination.name,
        )
    }

    /// The rules for the URL itself. Names are checked when they are resolved; the connector does not resolve
    /// literal addresses, so those are checked here.
    fn check(&self, url: &Url) -> Result<(), NetError> {
        let host = url.host().ok_or(NetError::Malformed("the URL has no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::Malformed("the URL has a user name or password"));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.destination.allows_plain_http(&host) => return Ok(()),
            _ => return Err(NetError::Insecure),
        }
        let address = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        if may_connect(address, &self.destination.allowed_networks) {
            Ok(())
        } else {
            Err(NetError::Refused { address })
        }
    }

    async fn exchange(&self, mut request: Request, max_bytes: usize) -> Result<Response, NetError> {
        trace::inject(&mut request.headers);
        let mut builder = self.http.request(request.method, request.url).headers(request.headers);
        if !request.body.is_empty() {
            builder = builder.body(request.body);
        }
        let mut response = builder.send().await.map_err(|e| NetError::from_reqwest(&e))?;
        let too_big = NetError::TooBig { limit: max_bytes };
        if response.content_length().is_some_and(|length| length > max_bytes as u64) {
            return Err(too_big);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| NetError::from_reqwest(&e))? {
            if chunk.len() > max_bytes - body.len() {
                return Err(too_big);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}
