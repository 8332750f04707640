//! From a signal to a clean end.

use crate::app::Running;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Longest that calls under way may take after the signal. Kubernetes' default grace period is 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// Waits for SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When signals cannot be received.
pub async fn until_told(running: Running) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing what runs");
    running.stop(GRACE).await;
    tracing::info!("stopped");
    Ok(())
}
