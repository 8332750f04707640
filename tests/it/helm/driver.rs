//! The programs of `tests/helm`: Helm against a stub of an API server, and Kubernetes' schemas.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::rendered::Rendered;

/// Longest for one program on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The directory of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// The Python that has Helm.
pub fn python() -> PathBuf {
    let python = repository().join("tests/helm/.venv/bin/python");
    assert!(python.exists(), "{} is missing: run `tests/run setup` once", python.display());
    python
}

/// Runs a program of `tests/helm` on a job and reads its answer.
pub async fn run(program: &str, job: &Value) -> Value {
    let mut command = Command::new(python());
    command.arg(program).current_dir(repository().join("tests/helm")).kill_on_drop(true);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(job.to_string().as_bytes()).await.expect("the job is read");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} hangs")).expect("its output");
    assert!(output.status.success(), "{program} failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("its answer is JSON")
}

/// What became of one step.
#[derive(Clone, Debug)]
pub struct Step(Value);

/// One change that Helm asked the API server for.
#[derive(Clone, Debug)]
pub struct Change {
    pub verb: String,
    pub path: String,
    pub object: Value,
}

impl Change {
    /// Such as `jobs/token-broker-migrate`.
    pub fn place(&self) -> String {
        let parts: Vec<&str> = self.path.rsplit('/').take(2).collect();
        format!("{}/{}", parts[1], parts[0])
    }
}

impl Step {
    /// Helm's sentence if it refused or failed.
    pub fn error(&self) -> Option<&str> {
        self.0["error"].as_str()
    }

    /// Of a step that worked.
    pub fn worked(&self) -> &Step {
        assert_eq!(self.error(), None);
        self
    }

    pub fn text(&self) -> &str {
        self.0["text"].as_str().expect("a release")
    }

    /// All that the release consists of, its hooks and tests included.
    pub fn rendered(&self) -> Rendered {
        Rendered(self.worked().get("objects").as_array().expect("a release").clone())
    }

    pub fn notes(&self) -> &str {
        self.0["notes"].as_str().expect("a release")
    }

    pub fn get(&self, key: &str) -> &Value {
        &self.0[key]
    }

    pub fn changes(&self) -> Vec<Change> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let changes = self.0["changes"].as_array().expect("changes").iter();
        changes
            .map(|c| Change { verb: text(&c["verb"]), path: text(&c["path"]), object: c["object"].clone() })
            .collect()
    }

    /// What was created by this step, in order, hooks among it.
    pub fn created(&self) -> Vec<Value> {
        self.changes().into_iter().filter(|change| change.verb == "create").map(|c| c.object).collect()
    }
}

/// A whole life of a release, and what is left of it on the server.
pub struct Life {
    pub steps: Vec<Step>,
    pub left: Vec<String>,
}

/// Lets Helm do these steps on one release of the chart; `without` are API groups that the cluster lacks.
pub async fn live(steps: Vec<Value>, without: &[&str]) -> Life {
    let chart = repository().join("helm/broker");
    let answer = run("drive.py", &json!({ "chart": chart, "without": without, "steps": steps })).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Life {
        steps: answer["steps"].as_array().expect("steps").iter().cloned().map(Step).collect(),
        left: answer["left"].as_array().expect("paths").iter().map(text).collect(),
    }
}

/// A step.
pub fn step(what: &str, values: &Value) -> Value {
    json!({ "do": what, "values": values })
}

/// Installs with these values on a cluster that knows every kind.
pub async fn install(values: &Value) -> Step {
    live(vec![step("install", values)], &[]).await.steps.remove(0)
}

/// The values of a file that is YAML, as the program `yaml` of this module's Python reads it.
pub async fn values(path: &str) -> Value {
    run("values.py", &json!({ "file": repository().join(path) })).await
}
