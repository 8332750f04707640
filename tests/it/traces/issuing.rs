//! One issuance, span by span, from the caller's own span to the provider and the database.

use broker_client::Outcome;
use broker_tests::process::run;
use broker_tests::trace_tree::tree;
use broker_tests::traced::TracedCaller;
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing::instrument::WithSubscriber as _;

use super::{KEY, Traced};

const ISSUE: &str = "broker.v1.GrantService/IssueGrant";

/// Proves: OP2
#[tokio::test(flavor = "multi_thread")]
async fn op2_one_issuance_is_told_span_by_span_from_the_caller_to_provider_and_database() {
    let traced = Traced::start("sample_ratio: 0").await;
    traced.connect().await;
    assert_eq!(traced.site.notes().traceparents(), Vec::<String>::new(), "not traced, not told");

    let caller = TracedCaller::default();
    let narrow = traced.request(&["notes.read"]);
    let answer = traced.client.issue_grant(&narrow).with_subscriber(caller.dispatch()).await;
    let Ok(Outcome::Grant(grant)) = answer else { panic!("a grant") };
    let [call] = &caller.calls()[..] else { panic!("one call") };
    assert_eq!(call.name, ISSUE);
    assert_eq!(format!("{:?}", call.span_kind), "Client");

    let trace = call.span_context.trace_id().to_bytes();
    let spans = traced.collector.until(|spans| spans.iter().any(|span| span.name == ISSUE)).await;
    assert!(spans.iter().all(|span| span.trace_id == trace), "nothing else is traced");
    let server = spans.iter().find(|span| span.name == ISSUE).expect("it came");
    assert_eq!(server.parent_span_id, call.span_context.span_id().to_bytes(), "the caller's span");
    assert_eq!(traced.plain(&tree(&spans, &trace)), include_str!("issuing.txt"));
    assert!(spans.iter().all(lies_within_the_call(server)), "{spans:#?}");

    // The provider was asked by the client's span of that call, and nobody else was told of the trace.
    let post = spans.iter().find(|span| span.name == "POST").expect("the refresh");
    let parent = format!("00-{}-{}-01", hex(&post.trace_id), hex(&post.span_id));
    assert_eq!(traced.site.notes().traceparents(), [parent]);

    let listed = run(traced.site.directory(), &["audit", "list", "--json"]).await.stdout;
    let event = listed.lines().find(|line| line.contains(&grant.id)).expect("the grant's event");
    assert!(event.contains(&hex(&trace)), "the log names the trace: {event}");

    let resource = &traced.collector.resources()[0];
    let names: Vec<&str> = resource.attributes.iter().map(|pair| pair.key.as_str()).collect();
    for name in ["service.name", "service.version", "service.instance.id"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(traced.collector.header("x-collector-key").iter().all(|key| key == KEY));
    assert!(!traced.collector.header("x-collector-key").is_empty());
}

fn lies_within_the_call(server: &Span) -> impl Fn(&Span) -> bool + '_ {
    |span| {
        server.start_time_unix_nano <= span.start_time_unix_nano
            && span.start_time_unix_nano <= span.end_time_unix_nano
            && span.end_time_unix_nano <= server.end_time_unix_nano
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
