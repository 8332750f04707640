//! The example's own binary, by its command line.

use std::process::Stdio;
use std::time::Duration;

use broker_tests::mcp::{McpClient, Said};
use broker_tests::process::binary;
use demo::walk;
use demo::world::{ALICE, Options, Workload, World};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// Longest that its start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_example_runs_by_its_command_line_and_logs_no_token() {
    let world = World::start(Options::default()).await.expect("a world");
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    };
    let mut command = Command::new(binary("mcp-server"));
    command.args(["--listen", "127.0.0.1:0", "--resource", Workload::TicketHelper.audience()]);
    command.args(["--issuer", world.sso().issuer(), "--broker", &world.grpc_url()]);
    command.arg("--credential").arg(file("credential", world.secret(Workload::TicketHelper)));
    command.arg("--state-secret").arg(file("state", "a secret of more than 32 bytes, for this test"));
    command.args(["--notes", world.notes().origin()]);
    let mut server = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut log = BufReader::new(server.stderr.take().expect("its log"));
    let mut line = String::new();
    let started = tokio::time::timeout(PATIENCE, log.read_line(&mut line)).await;
    started.expect("it starts in time").expect("a line");
    let address = line.split("address=").nth(1).unwrap_or_else(|| panic!("it did not start: {line}")).trim();

    let token = world.assertion(&ALICE, Workload::TicketHelper);
    let url = format!("http://{address}/mcp");
    let mut reading = McpClient::Sdk2("auto").call(&url, &token, "list_notes", json!({})).await;
    let link = reading.link().await;
    let browser = world.browser().expect("a browser");
    walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await.expect("the pages lead through");
    reading.reply("accept").await;
    match reading.next().await {
        Said::Result { failed: false, found, .. } => assert_eq!(found["account"], ALICE.notes.name),
        other => panic!("a result was due: {other:?}"),
    }

    server.kill().await.expect("it ends");
    log.read_to_string(&mut line).await.expect("the rest of its log");
    for secret in [token.as_str(), &link, world.secret(Workload::TicketHelper)] {
        assert!(!line.contains(secret), "the log holds a secret");
    }
    world.stop().await;
}
