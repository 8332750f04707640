//! A span for every call, and its place in the caller's trace.

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tracing::{Span, field::Empty, info_span};

/// The span of one attempt (OpenTelemetry's conventions for RPC clients). `method` is `package.Service/Method`.
pub(crate) fn span(method: &'static str) -> Span {
    info_span!(
        target: "broker_client",
        "rpc",
        otel.name = method,
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
    )
}

/// Says in the span around this moment how the call was answered.
pub(crate) fn answered<T>(answer: &Result<T, Status>) {
    let span = Span::current();
    match answer {
        Ok(_) => {
            span.record("rpc.response.status_code", "OK");
        }
        Err(status) => {
            let name = name(status.code());
            span.record("rpc.response.status_code", name);
            span.record("error.type", name);
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Says in the call's headers which span makes it (W3C Trace Context).
#[cfg(feature = "otel")]
pub(crate) fn carry(metadata: &mut MetadataMap) {
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let context = Span::current().context();
    let span = context.span();
    let ids = span.span_context();
    if !ids.is_valid() {
        return;
    }
    let flags = ids.trace_flags().to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", ids.trace_id(), ids.span_id());
    if let Ok(parent) = parent.parse() {
        metadata.insert("traceparent", parent);
    }
    let state = ids.trace_state().header();
    if let (false, Ok(state)) = (state.is_empty(), state.parse()) {
        metadata.insert("tracestate", state);
    }
}

/// Without the feature `otel` the broker begins a trace of its own.
#[cfg(not(feature = "otel"))]
pub(crate) fn carry(_: &mut MetadataMap) {}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
