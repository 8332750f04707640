//! The operations listener: is this process alive, is it ready. Never on a public address.

use crate::usecase::Rooms;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use std::sync::Arc;

/// `/livez` and `/readyz`.
pub fn router(rooms: Arc<Rooms>) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(rooms)
}

/// Ready means: the audit writer takes entries. Nothing is issued otherwise.
async fn ready(State(rooms): State<Arc<Rooms>>) -> (StatusCode, &'static str) {
    if rooms.audit.is_open() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written\n")
    }
}
