//! Sorts refusals into classes (RF6, RFC 6749 §5.2), by code first and by status where there is none.

use super::{ErrorCode, ProviderError, Trouble};
use crate::domain::Timestamp;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::time::Duration;
use time::{PrimitiveDateTime, format_description::FormatItem, macros::format_description};

/// Longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// IMF-fixdate (RFC 9110 §5.6.7).
const HTTP_DATE: &[FormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What an error response says.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    pub(super) code: Option<ErrorCode>,
    pub(super) suberror: Option<ErrorCode>,
}

/// 429, 408 and 5xx mean the same whatever the body says: even an `invalid_grant` in a 500 costs nothing.
pub(super) fn by_status(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<ProviderError> {
    let retry_after = retry_after(headers, now);
    if status == StatusCode::TOO_MANY_REQUESTS {
        Some(ProviderError::RateLimited { retry_after })
    } else if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        Some(ProviderError::Unavailable { retry_after, trouble: Trouble::Status(status.as_u16()) })
    } else {
        None
    }
}

/// The class of a refusal, with aliases that providers use instead of RFC 6749's codes.
pub(super) fn classify(
    status: StatusCode,
    refusal: Refusal,
    headers: &HeaderMap,
    now: Timestamp,
) -> ProviderError {
    let Some(code) = refusal.code else {
        return match status {
            // RFC 6749 §5.2: 401 at this endpoint speaks of the client.
            StatusCode::UNAUTHORIZED => ProviderError::ClientRejected(ErrorCode::read("status_401")),
            _ => ProviderError::Refused(ErrorCode::read(&format!("status_{}", status.as_u16()))),
        };
    };
    match code.as_str() {
        "invalid_grant" => match refusal.suberror {
            // Entra: only these two speak of the token itself, the others of one resource or of a missing step.
            Some(sub) if !matches!(sub.as_str(), "bad_token" | "token_expired") => {
                ProviderError::UserActionRequired(sub)
            }
            _ => ProviderError::GrantRejected(code),
        },
        "bad_refresh_token"
        | "bad_verification_code"
        | "invalid_refresh_token"
        | "invalid_code"
        | "code_already_used"
        | "token_revoked" => ProviderError::GrantRejected(code),
        "interaction_required" | "login_required" | "consent_required" => {
            ProviderError::UserActionRequired(code)
        }
        "invalid_client"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "incorrect_client_credentials"
        | "redirect_uri_mismatch"
        | "bad_client_secret"
        | "invalid_client_id"
        | "bad_redirect_uri" => ProviderError::ClientRejected(code),
        "invalid_scope" => ProviderError::ScopeRejected(code),
        "slow_down" | "rate_limited" | "ratelimited" | "rate_limit_exceeded" | "too_many_requests" => {
            ProviderError::RateLimited { retry_after: retry_after(headers, now) }
        }
        "temporarily_unavailable" | "server_error" => ProviderError::Unavailable {
            retry_after: retry_after(headers, now),
            trouble: Trouble::Said(code),
        },
        _ => ProviderError::Refused(code),
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or a date; at most an hour; a malformed one says nothing.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        let date = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc();
        Timestamp::from_unix_seconds(date.unix_timestamp()).since(now)
    };
    Some(wait.min(LONGEST_WAIT))
}
