//! The first span of a call, and how any span says that it failed.

use super::{CALLS, Remote, Sampling, carrier};
use crate::domain::Refusal;
use http::{HeaderMap, Method, StatusCode};
use tracing::{Instrument, Span, field::Empty, info_span};

/// What `error.type` says.
pub trait Failure {
    /// A word of ours, one of few.
    fn error_type(&self) -> &'static str;
}

impl Failure for Refusal {
    fn error_type(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// A span inside a call, under [`super::STEPS`]; nothing where the call is not traced. `error.type` and the status can be
/// recorded ([`failed`]).
macro_rules! step {
    ($name:expr $(, $($field:tt)+)?) => {
        tracing::info_span!(
            target: $crate::trace::STEPS,
            $name,
            "error.type" = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            $($($field)+)?
        )
    };
}
pub(crate) use step;

/// What was done in `span` failed.
pub fn failed(span: &Span, error_type: &str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// Does `work` in `span`, which says whether it failed.
pub async fn within<T, E: Failure>(span: Span, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let done = work.instrument(span.clone()).await;
    if let Err(error) = &done {
        failed(&span, error.error_type());
    }
    done
}

/// The server's span of a gRPC call; nothing when it is not traced. `method` is `package.Service/Method` from the gate table.
///
/// The caller's span is its parent: whoever reaches this listener is a workload of ours or is refused, and one trace through both is
/// what traces are for. What strangers could do with it is bounded by [`Sampling`].
pub fn rpc_server(sampling: &Sampling, method: &'static str, headers: &HeaderMap) -> Span {
    if !sampling.is_on() {
        return Span::none();
    }
    // Who shows no credential at all is anybody.
    let known = headers.contains_key(http::header::AUTHORIZATION);
    let remote = Remote::read(headers).filter(|_| known);
    if !(if known { sampling.of_workload(remote.as_ref()) } else { sampling.of_anybody() }) {
        return Span::none();
    }
    let span = info_span!(
        target: CALLS,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        "error.type" = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        broker.reason = Empty,
        broker.workload = Empty,
    );
    if let Some(remote) = remote {
        carrier::continues(&span, &remote);
    }
    span
}

/// The server's span of a page; nothing when it is not traced. `route` is the template it is served under: a path may hold a link's
/// handle.
///
/// A visitor's trace is linked and no more: whoever sends a browser here must not write into our traces, nor choose what is recorded.
pub fn http_server(sampling: &Sampling, method: &Method, route: Option<&str>, headers: &HeaderMap) -> Span {
    if !sampling.of_anybody() {
        return Span::none();
    }
    let method = METHODS.iter().find(|known| *known == method).map_or("_OTHER", Method::as_str);
    let name = match (method, route) {
        ("_OTHER", _) => "HTTP".to_owned(),
        (method, Some(route)) => format!("{method} {route}"),
        (method, None) => method.to_owned(),
    };
    let span = info_span!(
        target: CALLS,
        "http",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        "error.type" = Empty,
        http.request.method = method,
        http.response.status_code = Empty,
        http.route = route,
        url.path = route,
        broker.reason = Empty,
    );
    if let Some(remote) = Remote::read(headers) {
        carrier::links(&span, &remote);
    }
    span
}

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];

/// Says in the server's span how a page was answered.
pub fn http_answered(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        failed(span, status.as_str());
    }
}

/// Says in the server's span how the call was answered: which codes are failures of the server's, the conventions say.
pub fn rpc_answered(span: &Span, code: i32) {
    if span.is_disabled() {
        return;
    }
    let name = CODES.get(usize::try_from(code).unwrap_or(usize::MAX)).copied().unwrap_or("UNKNOWN");
    span.record("rpc.response.status_code", name);
    if SERVER_FAULTS.contains(&name) {
        failed(span, name);
    }
}

/// By number (google.rpc.Code).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const SERVER_FAULTS: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
