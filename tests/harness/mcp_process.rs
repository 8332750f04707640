//! The binary of `examples/mcp-server`, by its command line, at its most talkative.

use std::process::Stdio;
use std::time::Duration;

use demo::world::{Site, Workload};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::process::binary;

/// Longest that its start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it seals request states with.
pub const STATE_SECRET: &str = "canary-state-secret-of-more-than-32-bytes";

/// A running one. It is killed when this is dropped.
pub struct McpProcess {
    child: Child,
    log: BufReader<ChildStderr>,
    line: String,
    url: String,
    _files: tempfile::TempDir,
}

impl McpProcess {
    /// In the place of the ticket helper, for both SaaS of the world, with everything in its log that it has to tell.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(site: &Site) -> McpProcess {
        let files = tempfile::tempdir().expect("a directory");
        let file = |name: &str, content: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, content).expect("a file");
            path
        };
        let mut command = Command::new(binary("mcp-server"));
        command.args(["--listen", "127.0.0.1:0", "--resource", Workload::TicketHelper.audience()]);
        command.args(["--issuer", site.sso().issuer(), "--broker", &site.grpc_url()]);
        command.arg("--credential").arg(file("credential", site.secret(Workload::TicketHelper)));
        command.arg("--state-secret").arg(file("state", STATE_SECRET));
        command.args(["--notes", site.notes().origin(), "--calendar", site.calendar().origin()]);
        command.args(["--log", "trace"]);
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut line = String::new();
        let address = async {
            loop {
                let before = line.len();
                assert!(log.read_line(&mut line).await.expect("text") > 0, "it did not start: {line}");
                if let Some((_, address)) = line[before..].split_once("address=") {
                    return address.trim().to_owned();
                }
            }
        };
        let address = tokio::time::timeout(PATIENCE, address).await.expect("it starts in time");
        McpProcess { child, log, line, url: format!("http://{address}/mcp"), _files: files }
    }

    /// The MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it and answers all that it logged.
    ///
    /// # Panics
    /// When it cannot be killed, or its log is no text.
    pub async fn log(mut self) -> String {
        self.child.kill().await.expect("it ends");
        self.log.read_to_string(&mut self.line).await.expect("the rest of its log");
        self.line
    }
}
