//! Authorization server metadata (RFC 8414).

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/.well-known/oauth-authorization-server", get(metadata))
}

async fn metadata(State(saas): State<Arc<Shared>>) -> Json<Value> {
    let origin = &saas.origin;
    Json(json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "revocation_endpoint": format!("{origin}/revoke"),
        "userinfo_endpoint": format!("{origin}/userinfo"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": saas.product.scopes(),
    }))
}
