//! A collector that is slow, full or gone is in nobody's way; what is not sent is counted; what waits at the end is sent.

use std::time::Duration;

use broker_client::Outcome;
use broker_tests::http1;
use broker_tests::process::BrokerProcess;
use demo::world::{Options, World};

use futures::StreamExt as _;

use super::{Traced, options, section};

async fn count(traced: &Traced, result: &str) -> u64 {
    let text = http1::send(traced.site.addresses().ops, "GET", "/metrics", &[], b"").await.body;
    let sample = format!("broker_trace_spans_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok()).unwrap_or(0)
}

/// Enough calls to fill the queue of 4096 several times over.
const CALLS: usize = 2000;

/// Proves: OP2, AV1
#[tokio::test(flavor = "multi_thread")]
async fn op2_av1_a_collector_that_hangs_costs_traces_and_not_a_single_grant() {
    let traced = Traced::start("sample_ratio: 1\n  timeout: 60s\n  max_traces_per_second: 100000").await;
    traced.connect().await;
    traced.collector.hang(true);
    let ask = async || {
        let answer = traced.client.issue_grant(&traced.request(&["notes.read", "notes.write"])).await;
        assert!(matches!(answer, Ok(Outcome::Grant(_))), "{answer:?}");
    };
    let rounds = futures::stream::iter(0..CALLS).map(|_| ask()).buffer_unordered(16);
    let all = tokio::time::timeout(Duration::from_secs(120), rounds.collect::<Vec<()>>()).await;
    assert_eq!(all.expect("nobody waits for the collector").len(), CALLS);
    assert!(count(&traced, "dropped").await > 1000, "the queue has an end");

    // It comes back, and so do traces.
    traced.collector.hang(false);
    let sent = async {
        while count(&traced, "sent").await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent).await.expect("it takes traces again");
}

/// Proves: OP2, AV5
#[tokio::test(flavor = "multi_thread")]
async fn op2_av5_traces_that_wait_when_it_is_told_to_stop_are_sent_before_it_ends() {
    let traced = Traced::start("sample_ratio: 1").await;
    traced.connect().await;
    traced.broker.terminate().await;
    let (status, log) = traced.broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
    let names: Vec<String> = traced.collector.spans().into_iter().map(|span| span.name).collect();
    for wanted in
        ["broker.v1.GrantService/IssueGrant", "GET /consent/{handle}", "GET /oauth/callback/{provider}"]
    {
        assert!(names.iter().any(|name| name == wanted), "{wanted}: {names:?}");
    }
}

/// Proves: OP2
#[tokio::test(flavor = "multi_thread")]
async fn op2_a_collector_that_is_not_there_is_told_of_once_and_keeps_nobody_from_stopping() {
    let collector = broker_tests::collector::Collector::start().await;
    let gone = Options { extra_config: section(&collector, "sample_ratio: 1\n  timeout: 1s"), ..options() };
    drop(collector);
    let site = World::prepare(gone).await.expect("prepared");
    let standin = broker_tests::collector::Collector::start().await;
    let mut traced = Traced::on(site, standin).await;
    traced.connect().await;
    traced.broker.said("traces could not be sent").await;
    assert!(count(&traced, "failed").await > 0);
    let Traced { broker, .. } = traced;
    stops(broker).await;
}

async fn stops(broker: BrokerProcess) {
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
    assert_eq!(log.matches("traces could not be sent").count(), 1, "{log}");
}
