//! The API itself: whose account a token speaks for, and what that account keeps (RFC 6750).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::fault::{Endpoint, Fault};
use super::product::{Account, Product};
use super::truth::Event;
use crate::oauth::bearer;
use crate::server;

pub(super) fn routes(product: &Product) -> Router<Arc<Shared>> {
    Router::new().route("/userinfo", get(userinfo)).route(product.path, get(list).post(write))
}

async fn userinfo(State(saas): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let fault = saas.next_fault(Endpoint::Userinfo);
    let early = match &fault {
        Some(fault) => fault.instead().await,
        None => None,
    };
    if let Some(response) = early {
        return response;
    }
    let response = saas.call(&headers, None, "GET", "/userinfo", |account| {
        Json(json!({ "id": account.id, "label": account.label })).into_response()
    });
    if matches!(fault, Some(Fault::DropConnection)) { server::lost_reply() } else { response }
}

async fn list(State(saas): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    saas.call(&headers, Some(saas.product.read.0), "GET", saas.product.path, |account| {
        let kept = saas.entries.lock().expect("no holder panicked");
        let texts = kept.get(account.id).cloned().unwrap_or_default();
        Json(json!({ "account": account.label, (saas.product.entries): texts })).into_response()
    })
}

/// The body of a post.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    text: String,
}

async fn write(State(saas): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    saas.call(&headers, Some(saas.product.write.0), "POST", saas.product.path, |account| {
        let Ok(entry) = serde_json::from_slice::<NewEntry>(&body) else {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "send {\"text\": …}" }))).into_response();
        };
        let mut kept = saas.entries.lock().expect("no holder panicked");
        kept.entry(account.id.to_owned()).or_default().push(entry.text.clone());
        (StatusCode::CREATED, Json(json!({ "account": account.label, "text": entry.text }))).into_response()
    })
}

impl Shared {
    /// Lets `work` answer as the token's account, if the token is alive and allows `scope`; logs the call.
    fn call(
        &self,
        headers: &HeaderMap,
        scope: Option<&str>,
        method: &'static str,
        path: &'static str,
        work: impl FnOnce(&Account) -> Response,
    ) -> Response {
        let facts = bearer(headers).and_then(|token| self.facts(token));
        let account =
            facts.as_ref().and_then(|facts| self.product.accounts.iter().find(|a| a.id == facts.account));
        let response = match (&facts, account) {
            (Some(facts), Some(account)) if facts.live && facts.generation.is_none() => {
                match scope.filter(|scope| !facts.scopes.iter().any(|held| held == scope)) {
                    Some(_) => refuse(StatusCode::FORBIDDEN, "insufficient_scope"),
                    None => work(account),
                }
            }
            _ => refuse(StatusCode::UNAUTHORIZED, "invalid_token"),
        };
        self.truth.log(Event::ApiCall {
            account: account.map(|account| account.id.to_owned()),
            family: facts.map(|facts| facts.family),
            method,
            path,
            status: response.status().as_u16(),
        });
        response
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    let challenge = [(WWW_AUTHENTICATE, format!("Bearer error=\"{error}\""))];
    (status, challenge, Json(json!({ "error": error }))).into_response()
}
