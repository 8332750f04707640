//! A broker in a process of its own: this program, started again.

use crate::Fault;
use broker::{
    app::{self, Sockets},
    config::Config,
    domain::{Clock, Rng, SystemClock, SystemRng},
};
use std::{io::Read, path::Path, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// What the child says once it serves.
const READY: &str = "serving";
/// Longest it may take to stop.
const GRACE: Duration = Duration::from_secs(20);

/// A broker in a process of its own. Ends when stopped or dropped.
pub struct Child {
    process: tokio::process::Child,
    id: u32,
}

impl Child {
    /// Starts it on a configuration and waits until it serves.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn start(config: &Path) -> Result<Self, Fault> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = process.stdout.take().ok_or("no output of the child")?;
        let line = BufReader::new(said).lines().next_line().await?;
        if line.as_deref() != Some(READY) {
            return Err("the broker's process did not start".into());
        }
        let id = process.id().ok_or("the broker's process is gone")?;
        Ok(Self { process, id })
    }

    /// Its resident memory, in MiB (`VmRSS` of `/proc`).
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn resident_mib(&self) -> Result<f64, Fault> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Lets it drain and waits for its end.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<(), Fault> {
        drop(self.process.stdin.take());
        let ended = tokio::time::timeout(GRACE * 2, self.process.wait()).await??;
        if ended.success() { Ok(()) } else { Err(format!("the broker's process ended with {ended}").into()) }
    }
}

/// The child's side: serves until its input ends.
///
/// # Errors
/// When the broker does not start.
pub async fn serve(config: &Path) -> Result<(), Fault> {
    let config = Config::load(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let running = app::start(&config, clock, rng, Sockets::bind(&config)?).await?;
    println!("{READY}");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    running.stop(GRACE).await;
    Ok(())
}
