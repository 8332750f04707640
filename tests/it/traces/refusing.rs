//! A refusal's trace says why, and in which step; whether a call is traced is the caller's word.

use broker_tests::collector::Collector;
use broker_tests::trace_tree::tree;
use broker_tests::traced::TracedCaller;
use demo::world::{Options, World};
use tracing::instrument::WithSubscriber as _;

use super::{Traced, options, section};

const NOBODY_WRITES: &str = r#"
@id("nobody-writes")
forbid (principal, action == Broker::Action::"issue", resource == Broker::Scope::"notes/notes.write");
"#;

/// Proves: OP2
#[tokio::test(flavor = "multi_thread")]
async fn op2_a_refusal_is_told_with_its_reason_and_a_caller_that_does_not_record_is_not_recorded() {
    let collector = Collector::start().await;
    let extra_config = section(&collector, "sample_ratio: 1");
    let options = Options { extra_config, extra_policy: NOBODY_WRITES.to_owned(), ..options() };
    let traced = Traced::on(World::prepare(options).await.expect("prepared"), collector).await;

    let caller = TracedCaller::default();
    let asked = traced.request(&["notes.write"]);
    for sampled in [false, true] {
        let refused = traced.client.issue_grant(&asked).with_subscriber(caller.sampled(sampled)).await;
        assert_eq!(refused.expect_err("nobody writes").reason(), "POLICY_DENIED");
    }
    let [call] = &caller.calls()[..] else { panic!("one call that is recorded") };
    assert_eq!(format!("{:?}", call.status), "Error { description: \"\" }");
    let attributes: Vec<String> =
        call.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
    assert!(attributes.contains(&"rpc.response.status_code=PERMISSION_DENIED".to_owned()), "{attributes:?}");

    let trace = call.span_context.trace_id().to_bytes();
    let spans = traced.collector.until(|spans| spans.iter().any(|span| span.name == call.name)).await;
    assert!(spans.iter().all(|span| span.trace_id == trace), "the other call is not recorded");
    assert_eq!(traced.plain(&tree(&spans, &trace)), include_str!("refusing.txt"));
}
