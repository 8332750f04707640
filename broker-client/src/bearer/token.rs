//! Reads the `authorization` header of a request.

use crate::{Assertion, Error};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Longest token, in bytes: the broker takes no longer one.
const LONGEST: usize = 16 * 1024;

/// Why there is no token to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody showed one.
    Missing,
    /// More than one header, or one that is not text.
    Ambiguous,
    /// It cannot be a token: too long, or made of other characters; or the broker does not take it.
    Unusable,
    /// The broker takes the token, and serves its user nothing.
    Forbidden,
    /// Nobody can say right now; perhaps after this time.
    Unknown(Option<Duration>),
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Unusable => StatusCode::UNAUTHORIZED,
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When to come again, in whole seconds (RFC 9110 section 10.2.3).
    pub(super) fn retry_after(self) -> Option<u64> {
        let Self::Unknown(Some(wait)) = self else { return None };
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// What the client can do about it (RFC 6750 section 3); none where another token would not help.
    pub(super) fn challenge(self, resource: &str) -> Option<String> {
        match self {
            // A request that showed nothing gets no error code.
            Self::Missing => Some(resource.to_owned()),
            Self::Ambiguous => Some(format!("{resource}, error=\"invalid_request\"")),
            Self::Unusable => Some(format!("{resource}, error=\"invalid_token\"")),
            Self::Forbidden | Self::Unknown(_) => None,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Assertion(_) => Self::Unusable,
            Error::Denied(_) => Self::Forbidden,
            other => Self::Unknown(other.retry_after()),
        }
    }
}

/// Takes the token out of the headers.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Assertion, Refusal> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let first = shown.next().ok_or(Refusal::Missing)?;
    if shown.next().is_some() {
        return Err(Refusal::Ambiguous);
    }
    let text = first.to_str().map_err(|_| Refusal::Ambiguous)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    // Another scheme speaks for somebody else, or for nobody.
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    let token = rest.trim_matches(' ');
    if token.len() > LONGEST || !is_token(token) {
        return Err(Refusal::Unusable);
    }
    let token = Assertion::from(token);
    headers.remove(AUTHORIZATION);
    Ok(token)
}

/// `b64token` of RFC 6750 section 2.1.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
