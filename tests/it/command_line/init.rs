//! From an empty directory to a broker that is ready and says what to configure next.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use broker_tests::process::BrokerProcess;

use super::{refused, works};

/// Any free ports instead of the starter's.
fn free_ports(directory: &Path) {
    let path = directory.join("broker.yaml");
    let text = std::fs::read_to_string(&path).expect("the starter");
    let text = text.replace(":7443", ":0").replace("127.0.0.1:8080", "127.0.0.1:0").replace(":9090", ":0");
    std::fs::write(path, text).expect("written");
}

#[tokio::test]
async fn init_and_serve_in_an_empty_directory_give_a_ready_broker_that_says_what_is_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = works(directory.path(), &["init"]).await;
    assert!(said.contains("next: broker serve"), "{said}");
    assert!(works(directory.path(), &["config", "check"]).await.contains("is in order"));
    free_ports(directory.path());
    let mut broker = BrokerProcess::serve(directory.path(), "broker.yaml");
    broker.listening().await;
    for hint in ["no issuer is configured", "no workload is configured", "no provider is configured"] {
        broker.said(hint).await;
    }
    let log = broker.stderr();
    let ops = log.split("ops=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let client = demo::http::client(b"").expect("a client");
    for path in ["livez", "readyz"] {
        let answer = client.get(format!("http://{ops}/{path}")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}: {log}");
}

/// Proves: VA7
#[tokio::test]
async fn va7_init_writes_for_the_owner_alone_and_overwrites_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("new");
    works(directory.path(), &["init", "new"]).await;
    let read = |name: &str| std::fs::read(inner.join(name)).expect(name);
    let names = ["broker.yaml", "policy.cedar", "keys.json"];
    for name in names {
        let mode = inner.join(name).metadata().expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let before = names.map(read);
    refused(directory.path(), &["init", "new"], 1, &["exists", "nothing was written"]).await;
    assert!(names.map(read) == before);
    // All or nothing, whichever file is in the way.
    for name in names {
        let other = tempfile::tempdir().expect("a directory");
        std::fs::write(other.path().join(name), "mine").expect("written");
        refused(other.path(), &["init"], 1, &[name, "nothing was written"]).await;
        assert_eq!(std::fs::read_dir(other.path()).expect("readable").count(), 1, "{name}");
    }
    let two = tempfile::tempdir().expect("a directory");
    works(two.path(), &["init"]).await;
    assert!(std::fs::read(two.path().join("keys.json")).expect("keys") != read("keys.json"), "fresh keys");
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_help_with_0() {
    let directory = tempfile::tempdir().expect("a directory");
    for args in [&["frobnicate"][..], &["serve", "--port", "1"], &["audit"], &[]] {
        refused(directory.path(), args, 2, &["Usage"]).await;
    }
    assert!(works(directory.path(), &["--help"]).await.contains("serve"));
    assert!(works(directory.path(), &["--version"]).await.starts_with("broker "));
}
