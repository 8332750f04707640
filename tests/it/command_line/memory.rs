//! What is in the broker's memory stays there.

use broker_tests::process::BrokerProcess;
use demo::world::{Options, World};

/// Proves: VA4
#[cfg(target_os = "linux")]
#[tokio::test]
async fn va4_the_serving_process_leaves_no_core_dump() {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", broker.pid())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit on dumps");
    let set: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(set, ["0", "0"], "soft and hard: {core}");
    broker.terminate().await;
    assert!(broker.ended().await.0.success());
}
