//! What is not gRPC, and messages that cannot be read: answered in the contract's terms.

use super::status::to_status;
use crate::domain::{Reason, Refusal};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use std::time::Duration;
use tonic::{Code, body::Body};

/// How much of a refused call's message is still read, in bytes, and for how long.
const REST: usize = 64 * 1024;
const REST_TIME: Duration = Duration::from_millis(100);

/// The answer to a request that is not gRPC at all: plain HTTP statuses, so that no HTTP client takes it for a success
/// (gRPC over HTTP/2, "Requests").
pub(super) fn not_grpc(request: &Parts) -> Option<Response<Body>> {
    if request.method != Method::POST {
        return Some(plain(StatusCode::METHOD_NOT_ALLOWED));
    }
    let mut kinds = request.headers.get_all(header::CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let is_grpc = |kind: &[u8]| {
        let rest = kind.strip_prefix(b"application/grpc").map(<[u8]>::first);
        matches!(rest, Some(None | Some(b'+' | b';')))
    };
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) if is_grpc(kind) => None,
        _ => Some(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Refuses a call, and first takes what it still sends: a message that comes after its answer counts as a fault of its
/// HTTP/2 connection, and few of those end it for everybody else that a proxy has put on the same one.
pub(super) async fn refused(refusal: &Refusal, body: Body) -> Response<Body> {
    let rest = axum::body::to_bytes(axum::body::Body::new(body), REST);
    // Read or not makes no difference to the answer.
    let _ = tokio::time::timeout(REST_TIME, rest).await;
    to_status(refusal).into_http()
}

/// The status code of a response: without one in its head, its messages follow and so far all is well.
pub(super) fn code(response: &Response<Body>) -> i32 {
    tonic::Status::from_header_map(response.headers()).map_or(0, |status| status.code().into())
}

/// The refusal that a response of the gRPC stack itself stands for. Ours all carry details; those without are about a
/// message too large or not protobuf, where the stack would say OUT_OF_RANGE or INTERNAL.
pub(super) fn unreadable(response: &Response<Body>) -> Option<Refusal> {
    let status = tonic::Status::from_header_map(response.headers())?;
    let sentence = match status.code() {
        _ if !status.details().is_empty() => return None,
        Code::Internal => "The message cannot be read.",
        Code::OutOfRange | Code::ResourceExhausted => "The message is too large.",
        _ => return None,
    };
    Some(Refusal::because(Reason::InvalidArgument, sentence))
}
