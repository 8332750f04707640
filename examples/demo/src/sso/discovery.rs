//! Discovery documents and key sets (OpenID Connect Discovery 1.0 §3).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/.well-known/openid-configuration", get(people))
        .route("/jwks", get(people_keys))
        .route("/cluster/.well-known/openid-configuration", get(cluster))
        .route("/cluster/jwks", get(cluster_keys))
}

async fn people(State(sso): State<Arc<Shared>>) -> Json<Value> {
    let issuer = &sso.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": super::pages::SCOPES,
        "prompt_values_supported": ["none", "login", "select_account"],
        "claims_supported": ["sub", "auth_time", "acr", "name", "email", "roles", "sid"],
    }))
}

async fn people_keys(State(sso): State<Arc<Shared>>) -> Json<Value> {
    sso.jwks_fetches.fetch_add(1, Ordering::SeqCst);
    let keys = sso.keys.lock().expect("no holder panicked");
    Json(json!({ "keys": keys.iter().map(super::SigningKey::public_jwk).collect::<Vec<_>>() }))
}

/// What a Kubernetes API server publishes for its service-account issuer.
async fn cluster(State(sso): State<Arc<Shared>>) -> Json<Value> {
    let issuer = &sso.workload_issuer;
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn cluster_keys(State(sso): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "keys": [sso.workload_key.public_jwk()] }))
}
