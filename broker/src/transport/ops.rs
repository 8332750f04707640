//! The operations listener: is this process alive, is it ready. Never on a public address.

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

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(rooms: Arc<Rooms>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(rooms)
}

async fn metrics(State(rooms): State<Arc<Rooms>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, OPENMETRICS)], rooms.metrics.render())
}

/// Ready means: the audit writer takes entries. Nothing is issued otherwise.
async fn ready(State(rooms): State<Arc<Rooms>>) -> (StatusCode, &'static str) {
    if rooms.audit.is_open() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written\n")
    }
}
