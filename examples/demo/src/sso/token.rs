//! The token endpoint: a code becomes an ID token, once.

use std::sync::Arc;

use axum::extract::{RawForm, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::mint::Login;
use crate::oauth::{AuthorizationRequest, OauthError, Params, pkce_matches};
use crate::random;
use crate::sessions::Session;

/// How long a code may be redeemed, in seconds.
const CODE_LIFETIME: i64 = 60;

const DEAD_CODE: OauthError = OauthError("invalid_grant", "the code is unknown, used, expired or not yours");

/// What a code stands for.
pub(super) struct Code {
    request: AuthorizationRequest,
    session: Session,
    born: i64,
}

impl Code {
    pub(super) fn new(request: &AuthorizationRequest, session: &Session, now: i64) -> Code {
        Code { request: request.clone(), session: session.clone(), born: now }
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/token", post(token))
}

async fn token(State(sso): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    match sso.exchange(&headers, &body) {
        Ok(answer) => ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

impl Shared {
    /// Keeps what a new code stands for and answers the code.
    pub(super) fn keep_code(&self, code: Code) -> String {
        let name = random::token("code_");
        self.codes.lock().expect("no holder panicked").insert(name.clone(), code);
        name
    }

    fn exchange(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, OauthError> {
        let params = Params::parse(body)?;
        self.heard.asked(&params);
        let client = self.clients.authenticate(headers, &params, true)?;
        if params.need("grant_type")? != "authorization_code" {
            return Err(OauthError("unsupported_grant_type", "only authorization_code is offered"));
        }
        let (name, redirect_uri) = (params.need("code")?, params.need("redirect_uri")?);
        let verifier = params.need("code_verifier")?;
        // Gone at the first try, whoever makes it (RFC 6749 §4.1.2).
        let code = self.codes.lock().expect("no holder panicked").remove(name).ok_or(DEAD_CODE)?;
        let fresh = self.now() < code.born.saturating_add(CODE_LIFETIME);
        let same = code.request.client_id == client.id && code.request.redirect_uri == redirect_uri;
        if !fresh || !same || !pkce_matches(verifier, &code.request.challenge) {
            return Err(DEAD_CODE);
        }
        let user = self.user(&code.session.user).ok_or(DEAD_CODE)?;
        let login = Login {
            sid: &code.session.sid,
            auth_time: code.session.auth_time,
            nonce: code.request.nonce.as_deref(),
        };
        let claims = self.id_token_claims(&user, &client.id, &login);
        let answer = json!({
            "access_token": random::token("sso_at_"),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": code.request.scopes.join(" "),
            "id_token": self.sign(&Value::Object(claims)),
        });
        self.heard.answered(&answer);
        Ok(answer)
    }
}
