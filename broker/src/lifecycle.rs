//! From a signal to a clean end.

use crate::app::Running;
use rustix::process::Signal as Number;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, caught from the moment this exists: one that comes while the broker starts is not lost, and does
/// not end the process without a word in the audit log.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    _file_too_big: Signal,
}

impl StopSignals {
    /// Catches them from now on, and SIGXFSZ, which ends a process that writes beyond its limit on the size of files (RLIMIT_FSIZE): here
    /// the write is refused, as on a full disk, and whoever wanted it is told.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub fn catch() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let _file_too_big = signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?;
        Ok(Self { terminate, interrupt, _file_too_big })
    }
}

/// Waits for SIGTERM or SIGINT, then drains for at most `grace`.
pub async fn until_told(running: Running, mut signals: StopSignals, grace: Duration) {
    tokio::select! {
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing what runs");
    running.stop(grace).await;
    tracing::info!("stopped");
}
