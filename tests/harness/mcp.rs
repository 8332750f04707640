//! The MCP server of `examples/mcp-server` in a world, and real MCP clients that talk to it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use broker_client::TokenSource;
use broker_client::bearer::ProtectedResource;
use broker_client::mcp::{ConsentFlow, StateKey};
use demo::world::{CALENDAR, PROVIDER, Workload};
use mcp_server::{Api, NotesServer, http_client, router};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::npm;
use crate::stage::Stage;

/// Longest that a client may take for one step on a busy machine: interpreters start slowly there.
const PATIENCE: Duration = Duration::from_secs(120);

const STATE_SECRET: &[u8] = b"the secret for request states in these tests";

/// A running MCP server. It ends when this is dropped.
pub struct McpServer {
    url: String,
    origin: String,
    serving: tokio::task::JoinHandle<()>,
}

impl McpServer {
    /// In the place of `workload`, on a free loopback port. A retry waits so long for its user.
    pub async fn start(stage: &Stage, workload: Workload, patience: Duration) -> McpServer {
        let key = StateKey::new(STATE_SECRET).expect("a key");
        let source = TokenSource::new(stage.client(workload).clone());
        let http = http_client(rustls::RootCertStore::empty()).expect("an HTTP client");
        let notes = Api::notes(http.clone(), stage.world.notes().origin());
        let calendar = Api::calendar(http, stage.world.calendar().origin());
        let flow = ConsentFlow::new(source, key).patience(patience);
        let server = NotesServer::new(flow, PROVIDER, notes).with_calendar(CALENDAR, calendar);
        let resource = ProtectedResource::new(workload.audience()).expect("a resource");
        let resource = resource.authorization_server(stage.world.sso().issuer());
        let router = router(server, &resource, &["127.0.0.1".to_owned()]).expect("a router");
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        McpServer { url: format!("{origin}/mcp"), origin, serving }
    }

    /// The MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a client says.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// Its user is asked to open this link.
    Open(String),
    /// The tool's result: whether it failed, what it found, its text.
    Result { failed: bool, found: Value, text: String },
    /// The call failed.
    Error { code: Value, message: String },
}

/// The clients, each with the revisions of the protocol that it is made to speak.
#[derive(Clone, Copy, Debug)]
pub enum McpClient {
    /// Python fastmcp; `auto` (2026-07-28) or `legacy` (2025-11-25).
    Fastmcp(&'static str),
    /// TypeScript SDK 1.x (2025-11-25).
    Sdk1,
    /// TypeScript SDK 2.x; `auto` or `legacy`.
    Sdk2(&'static str),
}

impl McpClient {
    /// Calls `tool` in the name of whom `token` speaks of.
    pub async fn call(self, server: &str, token: &str, tool: &str, arguments: Value) -> Conversation {
        let (program, script, era) = match self {
            McpClient::Fastmcp(era) => (installed(".venv/bin/python"), "fastmcp_client.py", Some(era)),
            McpClient::Sdk1 => (node(), "sdk1.mjs", None),
            McpClient::Sdk2(era) => (node(), "sdk2.mjs", Some(era)),
        };
        let mut command = Command::new(program);
        command.current_dir(npm::mcp_clients_dir());
        command.arg(script).arg(server).args(era).arg(tool).arg(arguments.to_string());
        Conversation::start(command, token).await
    }
}

/// A client at work.
pub struct Conversation {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    async fn start(mut command: Command, token: &str) -> Conversation {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the client starts");
        let input = child.stdin.take().expect("its standard input");
        let output = BufReader::new(child.stdout.take().expect("its standard output")).lines();
        let mut conversation = Conversation { child, input, output };
        conversation.reply(token).await;
        conversation
    }

    /// What the client says next.
    ///
    /// # Panics
    /// When it ends, or says nothing for long.
    pub async fn next(&mut self) -> Said {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("it says something");
        let Some(line) = line.expect("a line") else {
            let mut error = String::new();
            let mut stderr = self.child.stderr.take().expect("its standard error");
            let _ = stderr.read_to_string(&mut error).await;
            panic!("the client ended: {error}")
        };
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(url) = said["open"].as_str() {
            return Said::Open(url.to_owned());
        }
        if let Some(error) = said.get("error") {
            return Said::Error { code: error["code"].clone(), message: text(&error["message"]) };
        }
        let result = &said["result"];
        let failed = result["failed"].as_bool().expect("whether it failed");
        Said::Result { failed, found: result["found"].clone(), text: text(&result["text"]) }
    }

    /// Tells the client what its user did: `accept`, `decline` or `cancel`.
    pub async fn reply(&mut self, action: &str) {
        self.input.write_all(format!("{action}\n").as_bytes()).await.expect("it listens");
    }

    /// The link, where one is due.
    pub async fn link(&mut self) -> String {
        match self.next().await {
            Said::Open(url) => url,
            other => panic!("a link was due: {other:?}"),
        }
    }
}

/// Runs the Inspector's command line to its end: the result of `tools/call`, which it prints as JSON.
pub async fn inspect(server: &str, token: &str, tool: &str) -> Value {
    let home = tempfile::tempdir().expect("a home for it");
    let launcher = installed("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let mut command = Command::new(node());
    command.arg(launcher).arg("--cli").arg(server).args(["--transport", "http", "--method", "tools/call"]);
    command.args(["--tool-name", tool, "--header", &format!("Authorization: Bearer {token}")]);
    command.env("HOME", home.path()).stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("no JSON: {stdout}{stderr}"))
}

fn node() -> PathBuf {
    npm::node().unwrap_or_else(|e| panic!("{e}"))
}

fn installed(path: &str) -> PathBuf {
    npm::mcp_client(path).unwrap_or_else(|e| panic!("{e}"))
}
