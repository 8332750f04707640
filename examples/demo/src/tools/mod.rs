//! An MCP-style tool server: what a company would put between an AI agent and its SaaS, here with `broker-client`.
//!
//! One address, `POST /mcp`, JSON-RPC 2.0 in the shapes of the Model Context Protocol: `tools/list` and `tools/call`
//! with the tools [`LIST_NOTES`], [`ADD_NOTE`] and [`PLAN_WEEK`]. The agent sends its user's assertion as the bearer token;
//! the server shows it to the broker, gets a grant, and calls the SaaS with it. It stores no token and knows no password.
//!
//! A missing consent is answered as MCP's `input_required` with the broker's link (URL elicitation), or as a plain
//! text for agents that know nothing of it: both are in the same result.

mod calls;
mod rpc;
mod saas;

use std::io;
use std::sync::Arc;

use axum::extract::{Json, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use broker_client::{Assertion, TokenSource};

use crate::http::{self, ClientError};
use crate::oauth::bearer;
use crate::saas::{CALENDAR, NOTES};
use crate::server::{Bound, Server};
use calls::Tools;
use rpc::Request;
use saas::Saas;

/// Reads the user's notes; needs `notes.read`.
pub const LIST_NOTES: &str = "list_notes";

/// Adds a note (argument `text`) and reads all of them back; needs `notes.read` and `notes.write`.
pub const ADD_NOTE: &str = "add_note";

/// Reads the user's notes and appointments; needs `notes.read` and `calendar.read`, both or none.
pub const PLAN_WEEK: &str = "plan_week";

/// Why a tool server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ToolServerError {
    /// No port.
    #[error("no port for the tool server: {0}")]
    Port(#[from] io::Error),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A running tool server; dropping it stops it.
pub struct ToolServer {
    url: String,
    _server: Server,
}

impl ToolServer {
    /// Starts on a free loopback port, in front of the two SaaS at these origins. Grants come from `source`,
    /// whose client says which workload this server is.
    ///
    /// # Errors
    /// [`ToolServerError`].
    pub async fn start(
        source: TokenSource,
        notes: &str,
        calendar: &str,
    ) -> Result<ToolServer, ToolServerError> {
        let bound = Bound::loopback().await?;
        let url = format!("{}/mcp", bound.origin());
        let http = http::client(b"")?;
        let saas = |product, origin| Saas::new(product, origin, http.clone());
        let tools = Tools { source, notes: saas(NOTES, notes), calendar: saas(CALENDAR, calendar) };
        let router = axum::Router::new().route("/mcp", post(answer)).with_state(Arc::new(tools));
        Ok(ToolServer { url, _server: bound.serve(router) })
    }

    /// Where agents send their calls.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn answer(
    State(tools): State<Arc<Tools>>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    let Some(assertion) = bearer(&headers).map(Assertion::from) else {
        // Nobody is served without saying for whom (RFC 6750 §3).
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    match request.method.as_str() {
        "tools/list" => Json(request.result(calls::list())).into_response(),
        "tools/call" => match request.call() {
            Some(call) => Json(request.result(tools.call(&assertion, &call).await)).into_response(),
            None => Json(request.error(-32602, "a call names a tool and has arguments")).into_response(),
        },
        _ => Json(request.error(-32601, "this server knows tools/list and tools/call")).into_response(),
    }
}

#[cfg(test)]
mod tests;
