//! The real `broker` binary: one command to its end, or a server to be watched, stopped and killed.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Longest that a start, a stop or a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `broker` binary beside the test binary.
///
/// # Panics
/// When it is missing or older than its sources, with the remedy.
pub fn broker_binary() -> PathBuf {
    binary("broker")
}

/// Another binary of this workspace, under the same conditions.
///
/// # Panics
/// As [`broker_binary`].
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test binary has a path");
    let binary = test.parent().and_then(Path::parent).expect("target/debug/deps").join(name);
    let remedy = "run `cargo build --workspace --bins` first (`tests/run integration` does)";
    let built = modified(&binary).unwrap_or_else(|| panic!("{} is missing: {remedy}", binary.display()));
    // Cargo's own list of what the binary was made from.
    let sources = std::fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let newer = sources.split_whitespace().skip(1).find(|path| modified(Path::new(path)) > Some(built));
    if let Some(source) = newer {
        panic!("{} is older than {source}: {remedy}", binary.display());
    }
    binary
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(broker_binary());
    command.args(args).env_remove("BROKER_CONFIG").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command wrote and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `broker` with these arguments in `directory`, to its end.
///
/// # Panics
/// When it does not end in time or was ended by a signal.
pub async fn run(directory: &Path, args: &[&str]) -> Ran {
    let running = command(args).current_dir(directory).output();
    let output = tokio::time::timeout(PATIENCE, running).await.unwrap_or_else(|_| panic!("{args:?} hangs"));
    let Output { status, stdout, stderr } = output.expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    let (stdout, stderr) = (text(stdout), text(stderr));
    let code = status.code().unwrap_or_else(|| panic!("{args:?} was ended by a signal: {stderr}"));
    Ran { code, stdout, stderr }
}

/// A running `broker serve`. Killed when dropped.
pub struct BrokerProcess {
    child: Child,
    written: watch::Receiver<Written>,
}

#[derive(Default)]
struct Written {
    stderr: String,
    ended: bool,
}

impl BrokerProcess {
    /// Starts `broker serve`. [`Self::listening`] needs `log: { level: info }` or more.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn serve(directory: &Path, config: &str) -> BrokerProcess {
        BrokerProcess::serve_with(directory, config, [])
    }

    /// The same with these in its environment.
    ///
    /// # Panics
    /// As [`Self::serve`].
    pub fn serve_with(
        directory: &Path,
        config: &str,
        environment: impl IntoIterator<Item = (&'static str, PathBuf)>,
    ) -> BrokerProcess {
        let mut command = command(&["serve", "--config", config]);
        command.envs(environment);
        BrokerProcess::start(directory, command)
    }

    /// The same, to die or stand still at a crash point, such as `refresh.spooled` or `refresh.sealed:stop`.
    ///
    /// # Panics
    /// As [`Self::serve`].
    pub fn serve_to(directory: &Path, config: &str, point: &str) -> BrokerProcess {
        let mut command = command(&["serve", "--config", config]);
        command.env(broker::crash::VARIABLE, point);
        BrokerProcess::start(directory, command)
    }

    /// Starts another command that is to die or stand still at a crash point. What it says on standard output is lost.
    ///
    /// # Panics
    /// As [`Self::serve`].
    pub fn command_to(directory: &Path, args: &[&str], point: &str) -> BrokerProcess {
        let mut command = command(args);
        command.env(broker::crash::VARIABLE, point);
        BrokerProcess::start(directory, command)
    }

    fn start(directory: &Path, mut command: Command) -> BrokerProcess {
        let mut child = command.current_dir(directory).stdout(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let (writer, written) = watch::channel(Written::default());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|written| written.stderr.extend([line.as_str(), "\n"]));
            }
            writer.send_modify(|written| written.ended = true);
        });
        BrokerProcess { child, written }
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Everything it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.written.borrow().stderr.clone()
    }

    /// Waits until standard error contains `text`.
    ///
    /// # Panics
    /// When the process ends first, or takes too long.
    pub async fn said(&mut self, text: &str) {
        let until = self.written.wait_for(|written| written.ended || written.stderr.contains(text));
        let found = tokio::time::timeout(PATIENCE, until).await.map(|seen| seen.map(|seen| !seen.ended));
        assert!(matches!(found, Ok(Ok(true))), "it never said {text:?}:\n{}", self.stderr());
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// As [`Self::said`].
    pub async fn listening(&mut self) {
        self.said("listening").await;
    }

    /// `kill -9`, by its process id.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub async fn kill(mut self) {
        let early = self.child.try_wait().expect("it can be asked");
        assert!(early.is_none(), "it ended by itself with {early:?}:\n{}", self.stderr());
        self.child.kill().await.expect("it can be killed");
    }

    /// Asks it to stop: SIGTERM.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// It stands still, wherever it is, until [`Self::resume`]: SIGSTOP.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// It goes on: SIGCONT.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -\"$1\" \"$0\"", &self.pid().to_string(), name]);
        assert!(kill.status().await.expect("sh runs").success(), "SIG{name} could not be sent");
    }

    /// Waits until it was killed, by itself at its crash point.
    ///
    /// # Panics
    /// When it ends in another way, or not in time.
    pub async fn died(self) {
        let (status, stderr) = self.ended().await;
        assert_eq!(status.signal(), Some(9), "{stderr}");
        assert!(stderr.contains("crash point"), "{stderr}");
    }

    /// Waits for its end: how it ended and all it wrote to standard error.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let waiting = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = waiting.expect("it ends in time").expect("it can be waited for");
        let all = self.written.wait_for(|written| written.ended).await.map(|written| written.stderr.clone());
        (status, all.expect("its standard error is read to the end"))
    }
}
