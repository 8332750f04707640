//! Traces: which calls are followed, and the spans that say where their time went (docs/logging.md).
//!
//! Rooms describe what they do by `tracing` spans under the two targets below, with the names of OpenTelemetry's semantic
//! conventions. Whether a call is traced is decided once, at its beginning ([`Sampling`]); everything inside it looks whether there
//! is a span around it. So a call that is not traced makes no span at all, and no attribute of one. Without the section `telemetry`
//! nobody listens to these targets, and a span costs one load of a variable.
//!
//! What is in a span leaves the house: names from the configuration and words of ours, never a token, a handle, a person, a
//! caller's text or a URL's query (AU6).

mod carrier;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod layer;
#[cfg(feature = "otlp")]
mod queue;
mod sampling;
mod spans;

pub use carrier::{Ids, Remote, current, inject};
#[cfg(feature = "otlp")]
pub use layer::{Exporting, Ours, layer};
pub use sampling::Sampling;
pub(crate) use spans::step;
pub use spans::{Failure, failed, http_answered, http_server, rpc_answered, rpc_server, within};

/// The first span of a call. Made only when the call is traced.
pub const CALLS: &str = "broker::trace::call";
/// Spans inside a call that is traced.
pub const STEPS: &str = "broker::trace::step";

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("telemetry: {0}")]
pub struct TraceError(pub String);
