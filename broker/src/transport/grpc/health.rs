//! `grpc.health.v1`: of the whole broker whether this process takes calls, of a service whether its calls can be answered (AV7).

use super::super::health::Health;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// This process: what probes ask for.
const PROCESS: &str = "";

/// The services whose health is told one by one.
const SERVICES: [&str; 5] = [
    "broker.v1.GrantService",
    "broker.v1.ConsentService",
    "broker.v1.ConnectionService",
    "broker.v1.AuditService",
    "broker.v1.AdminService",
];

/// Keeps the health of every service true until told to stop; from the first sign of it they do not serve.
pub async fn watch_health(health: Arc<Health>, reporter: HealthReporter, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            biased;
            () = health.stopped() => {}
            _ = ticks.tick() => health.look().await,
        }
        let ready = health.ready().is_ok();
        report(&reporter, PROCESS, ready).await;
        for service in SERVICES {
            report(&reporter, service, ready && health.database()).await;
        }
        if !ready {
            // A process that is not ready does not become it again.
            return stop.cancelled().await;
        }
    }
}

async fn report(reporter: &HealthReporter, service: &str, serves: bool) {
    let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
    reporter.set_service_status(service, status).await;
}
