//! A trace as text: one line a span, indented below its parent, with kind, attributes and status.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// The spans of `trace`, roots first, siblings by the time they began.
pub fn tree(spans: &[Span], trace: &[u8]) -> String {
    let mut spans: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace).collect();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let is_root = |span: &&&Span| !spans.iter().any(|other| other.span_id == span.parent_span_id);
    let mut text = String::new();
    for root in spans.iter().filter(is_root) {
        draw(root, &spans, 0, &mut text);
    }
    text
}

fn draw(span: &Span, all: &[&Span], depth: usize, text: &mut String) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(&line(span));
    text.push('\n');
    for child in all.iter().filter(|child| child.parent_span_id == span.span_id) {
        draw(child, all, depth + 1, text);
    }
}

/// One span.
pub fn line(span: &Span) -> String {
    let kind = match span.kind() {
        SpanKind::Server => "server ",
        SpanKind::Client => "client ",
        _ => "",
    };
    let mut attributes: Vec<String> = span
        .attributes
        .iter()
        .map(|pair| format!("{}={}", pair.key, value(pair.value.as_ref().and_then(|v| v.value.as_ref()))))
        .collect();
    attributes.sort();
    let status = match span.status.as_ref().map(|status| status.code()) {
        Some(StatusCode::Error) => " ERROR",
        Some(StatusCode::Ok) => " OK",
        _ => "",
    };
    format!("{kind}{}{status} [{}]", span.name, attributes.join(" "))
}

fn value(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    }
}
