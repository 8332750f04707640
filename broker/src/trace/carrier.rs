//! W3C Trace Context, in and out.

use http::HeaderMap;
use tracing::Span;

/// The trace of a caller, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its trace.
    pub trace_id: u128,
    /// The span that called.
    pub span_id: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

/// The ids of a span, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// 32 lower-case hexadecimal digits.
    pub trace: String,
    /// 16 of them.
    pub span: String,
}

impl Remote {
    /// Reads `traceparent`; `tracestate` is a stranger's text, and goes nowhere. What is malformed is no trace, as W3C Trace Context §4.3 has it: the call is served.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all("traceparent").iter();
        let (parent, None) = (parents.next()?, parents.next()) else { return None };
        let mut parts = parent.to_str().ok()?.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may have more parts; 00 has none.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        hex(version, 2)?;
        let (trace_id, span_id) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?);
        let sampled = hex(flags, 2)? & 1 == 1;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, sampled })
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != digits || !lower {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(feature = "otlp")]
mod otlp {
    use super::{Ids, Remote};
    use http::{HeaderMap, HeaderValue};
    use opentelemetry::{
        Context, TraceFlags,
        trace::{SpanContext, TraceContextExt, TraceState},
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    fn context(remote: &Remote) -> SpanContext {
        let flags = if remote.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(remote.trace_id.into(), remote.span_id.into(), flags, true, TraceState::default())
    }

    pub fn continues(span: &Span, remote: &Remote) {
        // A span that nobody records, or that began already, keeps what it has.
        let _ = span.set_parent(Context::new().with_remote_span_context(context(remote)));
    }

    pub fn links(span: &Span, remote: &Remote) {
        span.add_link(context(remote));
    }

    pub fn current() -> Option<Ids> {
        Context::map_current(|context| {
            let span = context.span();
            let ids = span.span_context();
            ids.is_valid().then(|| Ids { trace: ids.trace_id().to_string(), span: ids.span_id().to_string() })
        })
    }

    pub fn inject(headers: &mut HeaderMap) {
        Context::map_current(|context| {
            let span = context.span();
            let ids = span.span_context();
            if !ids.is_valid() {
                return;
            }
            let flags = ids.trace_flags().to_u8();
            let parent = format!("00-{}-{}-{flags:02x}", ids.trace_id(), ids.span_id());
            if let Ok(parent) = HeaderValue::from_str(&parent) {
                headers.insert("traceparent", parent);
            }
        });
    }
}

/// `span` goes on where its caller was.
pub(super) fn continues(span: &Span, remote: &Remote) {
    #[cfg(feature = "otlp")]
    otlp::continues(span, remote);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, remote);
}

/// `span` begins a trace of its own, and says what asked for it.
pub(super) fn links(span: &Span, remote: &Remote) {
    #[cfg(feature = "otlp")]
    otlp::links(span, remote);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, remote);
}

/// The span around this moment, if it is traced.
pub fn current() -> Option<Ids> {
    #[cfg(feature = "otlp")]
    return otlp::current();
    #[cfg(not(feature = "otlp"))]
    None
}

/// Says in a request's headers which span sends it; of a call that is not traced, nothing.
pub fn inject(headers: &mut HeaderMap) {
    #[cfg(feature = "otlp")]
    otlp::inject(headers);
    #[cfg(not(feature = "otlp"))]
    let _ = headers;
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn read(parents: &[&str]) -> Option<Remote> {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append("traceparent", HeaderValue::from_str(parent).unwrap());
        }
        Remote::read(&headers)
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        let remote = read(&[&good]).unwrap();
        assert_eq!((format!("{:032x}", remote.trace_id), remote.sampled), (TRACE.to_owned(), true));
        assert_eq!(remote.span_id, 0xb7ad_6b71_6920_3331);
        assert!(!read(&[&format!("00-{TRACE}-b7ad6b7169203331-02")]).unwrap().sampled, "only the lowest bit");
        assert!(read(&[&format!("cc-{TRACE}-b7ad6b7169203331-01-more")]).is_some(), "a later version");
        for bad in [
            String::new(),
            format!("{good}-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            good.to_uppercase(),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b716920333-01"),
            format!("00-{TRACE}-+7ad6b7169203331-01"),
        ] {
            assert_eq!(read(&[&bad]), None, "{bad}");
        }
        assert_eq!(read(&[&good, &good]), None, "two of them");
        assert_eq!(read(&[]), None);
    }
}
