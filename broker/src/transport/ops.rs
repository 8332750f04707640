//! The operations listener: is this process alive, is it ready, how is it. Never on a public address.

use super::health::Health;
use crate::usecase::Rooms;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    routing::get,
};
use std::sync::Arc;

/// What Prometheus takes for this text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Ops {
    rooms: Arc<Rooms>,
    health: Arc<Health>,
}

/// `/livez`, `/readyz`, `/healthz` and `/metrics`.
pub fn router(rooms: Arc<Rooms>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(healthy))
        .route("/metrics", get(metrics))
        .with_state(Ops { rooms, health })
}

/// What is not counted as it happens is looked at now.
async fn metrics(State(Ops { rooms, .. }): State<Ops>) -> ([(HeaderName, &'static str); 1], String) {
    for pool in rooms.store.pools.pools() {
        rooms.metrics.pool(pool.name, pool.used, pool.idle);
    }
    rooms.metrics.audit_waiting(rooms.audit.queued());
    rooms.metrics.revocation_epoch(rooms.audit.rules().epoch());
    // A directory that cannot be read is told by the worker, which reads it every second.
    if let Ok(entries) = rooms.tokens.spool().count().await {
        rooms.metrics.spool_entries(entries);
    }
    ([(header::CONTENT_TYPE, OPENMETRICS)], rooms.metrics.render())
}

/// For load balancers: whether this process takes calls. Nothing that all replicas share is looked at.
async fn ready(State(Ops { health, .. }): State<Ops>) -> (StatusCode, String) {
    answer(health.ready())
}

/// For people and dashboards: whether calls can be answered. No probe: it fails on every replica at once.
async fn healthy(State(Ops { health, .. }): State<Ops>) -> (StatusCode, String) {
    answer(health.ready().and_then(|()| health.database().then_some(()).ok_or("the database does not work")))
}

fn answer(standing: Result<(), &'static str>) -> (StatusCode, String) {
    match standing {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
