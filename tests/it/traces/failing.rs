//! What fails at a provider is an error in its span and in those around it, and the log line about it names the trace.

use broker_tests::trace_tree::{line, tree};
use broker_tests::traced::TracedCaller;
use demo::saas::Fault;
use serde_json::Value;
use tracing::instrument::WithSubscriber as _;

use super::Traced;

/// Proves: OP2
#[tokio::test(flavor = "multi_thread")]
async fn op2_a_providers_failure_is_told_in_the_trace_and_the_log_line_names_it() {
    let traced = Traced::start("sample_ratio: 0").await;
    traced.connect().await;
    traced.site.notes().script(Fault::Refuse(401, "invalid_client"), 1);
    let caller = TracedCaller::default();
    // Whether the wider token serves instead is another story.
    let _ =
        traced.client.issue_grant(&traced.request(&["notes.read"])).with_subscriber(caller.dispatch()).await;
    let [call] = &caller.calls()[..] else { panic!("one call") };
    let trace = call.span_context.trace_id();
    let spans = traced.collector.until(|spans| spans.iter().any(|span| span.name == call.name)).await;

    let plain = traced.plain(&tree(&spans, &trace.to_bytes()));
    let post = "client POST ERROR [broker.destination=notes error.type=401 http.request.method=POST \
                http.response.status_code=401 server.address=127.0.0.1 server.port=NOTES url.full=NOTES/token]";
    assert!(plain.lines().any(|line| line.trim() == post), "{plain}");
    let refresh = "refresh ERROR [broker.provider=notes error.type=PROVIDER_CLIENT_REJECTED]";
    assert!(plain.lines().any(|line| line.trim() == refresh), "{plain}");

    let log = traced.broker.stderr();
    let about = log.lines().find(|line| line.contains("the provider refuses the broker's client"));
    let about: Value = serde_json::from_str(about.expect("the line")).expect("JSON");
    assert_eq!(about["trace_id"], trace.to_string(), "{about}");
    let within = spans.iter().find(|span| data_encoding::HEXLOWER.encode(&span.span_id) == about["span_id"]);
    assert!(line(within.expect("a span of the trace")).starts_with("refresh ERROR"), "{about}");
    assert_eq!(about["level"], "ERROR");
    let start: Value = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
    assert!(start.get("trace_id").is_none(), "not in a traced call: {start}");
}
