//! The line to the driver: one command, one answer.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::npm;

/// Longer than the driver itself waits for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where Debian puts Chromium; `CHROMIUM` names another.
const CHROMIUM: &str = "/usr/bin/chromium";

pub(super) struct Line {
    talk: Mutex<Talk>,
    /// The browser's profiles lie here; gone with it.
    _home: TempDir,
}

struct Talk {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Line {
    pub(super) async fn open() -> Line {
        let home = tempfile::tempdir().expect("a home for it");
        let node = npm::node().unwrap_or_else(|e| panic!("{e}"));
        let script = npm::browser_driver().unwrap_or_else(|e| panic!("{e}"));
        let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_owned());
        assert!(
            std::path::Path::new(&chromium).exists(),
            "{chromium} is missing: run `tests/run setup` once, it installs what the tests need"
        );
        let mut command = Command::new(node);
        command.arg(script).env("CHROMIUM", chromium).env("HOME", home.path()).env("TMPDIR", home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the driver starts");
        let input = child.stdin.take().expect("its standard input");
        let output = BufReader::new(child.stdout.take().expect("its standard output")).lines();
        Line { talk: Mutex::new(Talk { child, input, output }), _home: home }
    }

    /// # Panics
    /// When the command fails: with what was on the page.
    pub(super) async fn call(&self, command: Value) -> Value {
        let mut talk = self.talk.lock().await;
        talk.input.write_all(format!("{command}\n").as_bytes()).await.expect("the driver listens");
        let answer = tokio::time::timeout(PATIENCE, talk.output.next_line()).await;
        let Some(line) = answer.unwrap_or_else(|_| panic!("no answer to {command}")).expect("a line") else {
            let mut error = String::new();
            let mut stderr = talk.child.stderr.take().expect("its standard error");
            let _ = stderr.read_to_string(&mut error).await;
            panic!("the driver ended: {error}")
        };
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        if let Some(error) = answer["error"].as_str() {
            panic!("{error}");
        }
        answer
    }

    /// Waits until the driver has ended.
    pub(super) async fn end(&self) {
        let mut talk = self.talk.lock().await;
        tokio::time::timeout(PATIENCE, talk.child.wait()).await.expect("it ends").expect("a status");
    }
}
