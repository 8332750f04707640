//! Misbehaviour on order: what real providers do to their clients.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::server;

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/token`
    Token,
    /// `/revoke`
    Revoke,
    /// `/userinfo`
    Userinfo,
}

/// One way to misbehave.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A 200 with an HTML page; nothing is processed.
    Html,
    /// A 500; nothing is processed.
    Status500,
    /// A 429 with `Retry-After` in seconds; nothing is processed.
    Status429 {
        /// Seconds.
        retry_after: u32,
    },
    /// A 200 whose body is `{"error": …}`; nothing is processed.
    OkWithError(&'static str),
    /// An error answer with this status and code, such as 401 `invalid_client`; nothing is processed.
    Refuse(u16, &'static str),
    /// A 200 with half a JSON document; nothing is processed.
    MalformedJson,
    /// The call waits for a permit of `release` (each `notify_one` lets one call on) and is then processed, even
    /// when the caller has given up.
    Slow(Arc<Notify>),
    /// The call is processed at once; its answer waits for a permit.
    SlowAnswer(Arc<Notify>),
    /// A 200 as for a token that nobody knows any more (RFC 7009 §2.2); nothing is processed.
    Forgotten,
    /// The call is processed, then the connection closes without a reply.
    DropConnection,
    /// The connection closes without a reply; nothing is processed.
    LostRequest,
    /// A code is redeemed for the tokens of another account than the one whose owner pressed "Allow".
    OtherAccount,
    /// Only the first of the scopes is granted, and the answer says so.
    FewerScopes,
    /// More is granted than was asked for, and the answer says so.
    MoreScopes,
    /// No refresh token is issued; an earlier one stays good.
    NoRefreshToken,
    /// The tokens are issued, and the answer says that they are not bearer tokens.
    NotBearer,
    /// `expires_in` is not a plain number of seconds.
    ExpiresIn(ExpiresIn),
}

/// Shapes of `expires_in` seen in the wild. The token's true lifetime does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The number as a string.
    String,
    /// `null`.
    Null,
    /// The field is missing.
    Absent,
    /// `0`.
    Zero,
    /// `-1`.
    Negative,
    /// The largest unsigned 64-bit number.
    Huge,
}

impl Fault {
    /// The name under which the truth log speaks of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Fault::Html => "html",
            Fault::Status500 => "status-500",
            Fault::Status429 { .. } => "status-429",
            Fault::OkWithError(_) => "ok-with-error",
            Fault::Refuse(..) => "refuse",
            Fault::MalformedJson => "malformed-json",
            Fault::Slow(_) => "slow",
            Fault::SlowAnswer(_) => "slow-answer",
            Fault::Forgotten => "forgotten",
            Fault::DropConnection => "drop-connection",
            Fault::LostRequest => "lost-request",
            Fault::OtherAccount => "other-account",
            Fault::FewerScopes => "fewer-scopes",
            Fault::MoreScopes => "more-scopes",
            Fault::NoRefreshToken => "no-refresh-token",
            Fault::NotBearer => "not-bearer",
            Fault::ExpiresIn(_) => "expires-in",
        }
    }

    /// The answer given instead of doing anything. A slow call waits here and then goes on.
    pub(super) async fn instead(&self) -> Option<Response> {
        let oauth = |code: &str| Json(json!({ "error": code, "error_description": "scripted" }));
        Some(match self {
            Fault::Html => Html("<!doctype html><title>Notes</title><p>Be right back.").into_response(),
            Fault::Status500 => (StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response(),
            Fault::Status429 { retry_after } => {
                let wait = [(RETRY_AFTER, HeaderValue::from(*retry_after))];
                (StatusCode::TOO_MANY_REQUESTS, wait, oauth("slow_down")).into_response()
            }
            Fault::OkWithError(code) => oauth(code).into_response(),
            Fault::Refuse(status, code) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                (status, oauth(code)).into_response()
            }
            Fault::Forgotten => StatusCode::OK.into_response(),
            Fault::LostRequest => server::lost_reply(),
            Fault::MalformedJson => {
                ([(CONTENT_TYPE, "application/json")], r#"{"access_token": "half, "expires"#).into_response()
            }
            Fault::Slow(release) => {
                release.notified().await;
                return None;
            }
            _ => return None,
        })
    }

    /// Changes a good token answer on its way out.
    pub(super) fn bend(&self, answer: &mut Value) {
        if matches!(self, Fault::NotBearer) {
            answer["token_type"] = json!("mac");
        }
        let Fault::ExpiresIn(shape) = self else { return };
        let seconds = answer["expires_in"].clone();
        answer["expires_in"] = match shape {
            ExpiresIn::String => json!(seconds.to_string()),
            ExpiresIn::Null | ExpiresIn::Absent => Value::Null,
            ExpiresIn::Zero => json!(0),
            ExpiresIn::Negative => json!(-1),
            ExpiresIn::Huge => json!(u64::MAX),
        };
        if let (ExpiresIn::Absent, Some(fields)) = (shape, answer.as_object_mut()) {
            fields.remove("expires_in");
        }
    }
}

/// Faults waiting for their call, per endpoint, first in first out.
#[derive(Default)]
pub(super) struct Script(Mutex<HashMap<Endpoint, VecDeque<Fault>>>);

impl Script {
    pub(super) fn add(&self, endpoint: Endpoint, fault: Fault, calls: usize) {
        let mut waiting = self.0.lock().expect("no holder panicked");
        waiting.entry(endpoint).or_default().extend(std::iter::repeat_n(fault, calls));
    }

    pub(super) fn next(&self, endpoint: Endpoint) -> Option<Fault> {
        self.0.lock().expect("no holder panicked").get_mut(&endpoint)?.pop_front()
    }
}
