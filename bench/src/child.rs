//! A broker, or a provider, in a process of its own: this program, started again.

use crate::Fault;
use broker::{
    app::{self, Sockets},
    config::Config,
    domain::{Clock, Rng, SystemClock, SystemRng},
};
use std::{ffi::OsStr, io::Read, path::Path, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// What a child says once it serves; where may follow.
const READY: &str = "serving";
/// Longest it may take to stop.
const GRACE: Duration = Duration::from_secs(20);

/// A process of its own. Ends when stopped or dropped.
pub struct Child {
    process: tokio::process::Child,
    id: u32,
}

impl Child {
    /// Starts a broker on a configuration and waits until it serves.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn start(config: &Path) -> Result<Self, Fault> {
        Ok(Self::with(&[OsStr::new("--serve"), config.as_os_str()]).await?.0)
    }

    /// Starts this program with these arguments, and waits until it serves. Answers where, if it said so.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn with(arguments: &[&OsStr]) -> Result<(Self, String), Fault> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = process.stdout.take().ok_or("no output of the child")?;
        let line = BufReader::new(said).lines().next_line().await?;
        let place = line.as_deref().and_then(|line| line.strip_prefix(READY));
        let place = place.ok_or("a process did not start")?.trim().to_owned();
        let id = process.id().ok_or("a process that started is gone")?;
        Ok((Self { process, id }, place))
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
        if ended.success() { Ok(()) } else { Err(format!("a process ended with {ended}").into()) }
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
    until_told("").await?;
    running.stop(GRACE).await;
    Ok(())
}

/// A child that serves says so, and where, and goes on until its input ends.
///
/// # Errors
/// When the input cannot be read.
pub async fn until_told(place: &str) -> Result<(), Fault> {
    println!("{READY} {place}");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
