//! A small MCP server in front of a notes API and a calendar: it acts for the user who calls, with grants of the token broker.
//!
//! - [`NotesServer`] has the tools. What they need of the broker is in two functions: `NotesServer::work` for one grant and,
//!   for a tool that needs two systems at once, `NotesServer::plan`.
//! - [`router`] serves it at the path of its [`ProtectedResource`], behind the layer
//!   that takes the user's token, with the metadata that tells clients where to sign in.
//!
//! It stores no token and knows no password. A user who has not connected something yet is asked to, in the way their client
//! understands. A session (MCP 2025-11-25) is served for the user who began it alone.

mod api;
mod http_client;
mod server;
mod tools;

pub use api::Api;
pub use http_client::http_client;
pub use server::NotesServer;

use axum::routing::get;
use axum::{Json, Router};
use broker_client::Error;
use broker_client::bearer::{BearerLayer, ProtectedResource, SessionLayer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;
use tower_layer::Layer as _;

/// Serves `server` at the path of `resource`. `hosts` are the names by which clients reach it; others are refused, so that no
/// web page can reach a server on the user's own machine by a name of its own. Nobody comes in without a token that the broker
/// takes, and nobody into a session that somebody else began.
///
/// # Errors
/// [`Error::Configuration`] when the system gives no randomness.
pub fn router(server: NotesServer, resource: &ProtectedResource, hosts: &[String]) -> Result<Router, Error> {
    let bearer = BearerLayer::new(resource).verified_by(server.broker().clone());
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(hosts).enforce_origin_validation();
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    let metadata = resource.metadata();
    Ok(Router::new()
        .route_service(resource.path(), bearer.layer(SessionLayer::new()?.layer(mcp)))
        .route(&resource.metadata_path(), get(async move || Json(metadata))))
}

#[cfg(test)]
mod tests;
