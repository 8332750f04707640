//! `grpc.health.v1`: serving while decisions can be written down.

use crate::usecase::Rooms;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// The services whose health is told one by one; `""` is the whole broker.
const SERVICES: [&str; 6] = [
    "",
    "broker.v1.GrantService",
    "broker.v1.ConsentService",
    "broker.v1.ConnectionService",
    "broker.v1.AuditService",
    "broker.v1.AdminService",
];

/// Keeps the health of every service true until told to stop, and then says that they do not serve.
pub async fn watch_health(rooms: Arc<Rooms>, reporter: HealthReporter, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        let serving = tokio::select! {
            () = stop.cancelled() => false,
            _ = ticks.tick() => rooms.audit.is_open(),
        };
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            reporter.set_service_status(service, status).await;
        }
        if stop.is_cancelled() {
            return;
        }
    }
}
