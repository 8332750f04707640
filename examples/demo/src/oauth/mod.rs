//! What both authorization servers of the demo share: clients, parameters, the authorization request, errors.

mod authorize;
mod clients;
mod heard;
mod params;

pub(crate) use authorize::{AuthorizationRequest, Pending, Refusal};
pub use clients::Client;
pub(crate) use clients::Clients;
pub(crate) use heard::Heard;
pub(crate) use params::Params;

use axum::Json;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};

/// An error answer of a token or revocation endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OauthError(pub(crate) &'static str, pub(crate) &'static str);

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.0, "error_description": self.1 }));
        let plain = [(CACHE_CONTROL, "no-store")];
        match self.0 {
            "invalid_client" => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic")], plain, body).into_response()
            }
            _ => (StatusCode::BAD_REQUEST, plain, body).into_response(),
        }
    }
}

/// Whether `verifier` answers the S256 `challenge` (RFC 7636 §4.6).
pub(crate) fn pkce_matches(verifier: &str, challenge: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(allowed)
        && BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref()) == challenge
}

/// The bearer token of a request (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
