//! Around every page: a trace id, the security headers, and a page instead of a panic.

use super::{Web, failure::Failure};
use crate::{
    domain::{Reason, Refusal, Rng},
    trace,
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tracing::{Instrument, Span};

/// Nothing but our own style sheet loads, nothing frames us, forms go to us alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every response. `same-origin` and not `no-referrer`, because the latter makes our forms send `Origin: null` (CO6).
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// 128 random bits in hexadecimal, as W3C Trace Context has them. Made here: a visitor's own is not believed.
#[derive(Clone)]
pub(super) struct TraceId(pub(super) String);

impl TraceId {
    fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        Self(data_encoding::HEXLOWER.encode(&bytes))
    }
}

/// The outermost layer.
pub(super) async fn guard(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = route.map(str::to_owned);
    let span = trace::http_server(&web.rooms.sampling, request.method(), route.as_deref(), request.headers());
    let (metrics, clock) = (web.rooms.metrics.clone(), Arc::clone(&web.rooms.clock));
    let began = clock.monotonic();
    let response = guarded(web, request, next).instrument(span.clone()).await;
    let took = clock.monotonic().saturating_sub(began);
    metrics.page(route.as_deref().unwrap_or_default(), response.status().as_u16(), took);
    trace::http_answered(&span, response.status());
    response
}

async fn guarded(web: Arc<Web>, mut request: Request, next: Next) -> Response {
    let trace = trace::current().map_or_else(|| TraceId::random(&*web.rooms.rng), |ids| TraceId(ids.trace));
    request.extensions_mut().insert(trace.clone());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!(trace_id = trace.0, "a page panicked");
        Failure::from(Refusal::new(Reason::Internal)).into_response()
    });
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        Span::current().record("broker.reason", failure.reason().as_str());
        response = failure.page(&trace, response);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if web.rooms.settings.public_url.scheme() == "https" {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
