//! `demo --keep`: what it prints can be used while it runs, and Ctrl-C leaves nothing behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use broker_client::{Client, Credential, GrantRequest, Outcome};
use broker_tests::process::{broker_binary, run};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Longest that the whole story may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn what_keep_prints_works_and_ctrl_c_cleans_up() {
    let demo = broker_binary().with_file_name("demo");
    let mut child = Command::new(&demo)
        .arg("--keep")
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; run `cargo build --workspace --bins` first", demo.display())
        });
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let told = async {
        let mut told = Vec::new();
        while let Some(line) = lines.next_line().await.expect("text") {
            told.push(line);
            if told.last().is_some_and(|line| line.contains("Ctrl-C ends it all")) {
                return told;
            }
        }
        panic!("it ended: {told:?}");
    };
    let told = tokio::time::timeout(PATIENCE, told).await.expect("it is told in time").join("\n");

    let joined = told.replace("\\\n", " ");
    let commands =
        joined.lines().filter_map(|line| line.split_once("cargo run -q -p broker -- ")).map(|(_, rest)| rest);
    let commands: Vec<Vec<&str>> = commands.map(|rest| rest.split_whitespace().collect()).collect();
    assert_eq!(commands.len(), 6, "{told}");
    let config = commands[0].last().expect("a path").to_string();
    let directory = Path::new(&config).parent().expect("a directory").to_owned();
    for command in &commands {
        let ran = run(&directory, command).await;
        assert_eq!(ran.code, 0, "{command:?}: {ran:?}");
    }
    let explained = run(&directory, &commands[5]).await.stdout;
    assert!(explained.starts_with("notes.read: allowed"), "{explained}");
    let address =
        told.split("/connections").next().and_then(|text| text.rsplit(' ').next()).expect("an address");
    let client = ::demo::http::client(b"").expect("a client");
    assert!(client.get(format!("{address}/connections")).send().await.is_ok(), "{address}");

    // What the call by hand sends: the files are as they must be.
    let ask = std::fs::read(directory.join("ask.json")).expect("the request");
    let ask: serde_json::Value = serde_json::from_slice(&ask).expect("JSON");
    let address =
        told.split(" broker.v1.GrantService/IssueGrant").next().and_then(|text| text.rsplit(' ').next());
    let server = Client::builder(format!("http://{}", address.expect("an address")));
    let server = server.credential(Credential::file(directory.join("ticket-helper.secret"))).connect().await;
    let assertion = ask["assertion"].as_str().expect("an assertion");
    let request = GrantRequest::new(assertion, ask["provider"].as_str().expect("a provider"), ["notes.read"]);
    let outcome = server.expect("a client").issue_grant(&request).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::ConsentRequired(_)), "alice disconnected in the story");

    let pid = child.id().expect("it runs").to_string();
    let mut kill = Command::new("sh");
    assert!(kill.args(["-c", "kill -INT \"$0\"", &pid]).status().await.expect("sh runs").success());
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("waited for");
    assert!(status.success(), "{status:?}");
    assert!(!directory.exists(), "{} is left behind", directory.display());
}
