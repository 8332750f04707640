//! Ending a token at the provider (RFC 7009).

use super::{ErrorCode, ProviderError, Trouble, refusal, refusal::Refusal, token_response};
use crate::{
    domain::{AccessToken, Kind, RefreshToken, Timestamp},
    net::Response,
};

/// What revoking came to. A failure that may pass is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revocation {
    /// The provider no longer honours the token, or never did.
    Revoked,
    /// The provider cannot revoke this kind of token.
    Unsupported,
}

/// `token_type_hint` for a stored kind (RFC 7009 §2.1); `None` = nothing a provider could revoke.
pub(super) fn hint<K: Kind>() -> Option<&'static str> {
    match K::COLUMN {
        column if column == AccessToken::COLUMN => Some("access_token"),
        column if column == RefreshToken::COLUMN => Some("refresh_token"),
        _ => None,
    }
}

/// Reads the answer: 2xx without an error and `invalid_token` both mean that the token is gone (RFC 7009 §2.2).
pub(super) fn read(response: &Response, now: Timestamp) -> Result<Revocation, ProviderError> {
    if let Some(error) = refusal::by_status(response.status, &response.headers, now) {
        return Err(error);
    }
    let said = match token_response::object(&response.body) {
        Ok(object) => token_response::refusal(&object),
        // An error page is not a yes, whatever its status: a proxy or a login page may have answered.
        Err(Trouble::Html) => return Err(ProviderError::unavailable(Trouble::Html)),
        Err(_) => None,
    };
    let code = said.as_ref().and_then(|refusal| refusal.code.as_ref()).map(ErrorCode::as_str);
    match code {
        Some("invalid_token" | "token_revoked") => Ok(Revocation::Revoked),
        Some("unsupported_token_type") => Ok(Revocation::Unsupported),
        None if said.is_none() && response.status.is_success() => Ok(Revocation::Revoked),
        _ => Err(refusal::classify(
            response.status,
            said.unwrap_or_else(Refusal::default),
            &response.headers,
            now,
        )),
    }
}
