//! What a provider's refusal or silence means for the connection (RF6). Carries no body, no token.

use crate::{
    domain::{Reason, SecretString},
    net::NetError,
};
use std::{fmt, time::Duration};

/// An OAuth error code as the provider wrote it, or `unreadable`: at most 64 of `A-Za-z0-9_.-`.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// Reads a code; anything that could smuggle text into a log becomes `unreadable`.
    pub fn read(text: &str) -> Self {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        Self(if ok { text.to_owned() } else { "unreadable".to_owned() })
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a provider counts as unavailable.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No response.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The breaker is open after repeated failures; nothing was sent.
    #[error("too many recent failures")]
    BreakerOpen,
    /// Too many calls are under way; nothing was sent.
    #[error("too many calls under way")]
    Busy,
    /// Status 408 or 5xx.
    #[error("status {0}")]
    Status(u16),
    /// A page instead of an answer.
    #[error("an HTML page instead of an answer")]
    Html,
    /// Neither JSON nor a form, or one with a key twice.
    #[error("a malformed answer")]
    Malformed,
    /// `temporarily_unavailable` or `server_error` (RFC 6749 §4.1.2.1, used at token endpoints too).
    #[error("{0}")]
    Said(ErrorCode),
}

impl Trouble {
    /// Whether the provider may have received the request and acted on it, e.g. rotated a refresh token.
    pub fn maybe_received(&self) -> bool {
        match self {
            Self::Net(error) => error.maybe_received(),
            Self::BreakerOpen | Self::Busy => false,
            Self::Status(_) | Self::Html | Self::Malformed | Self::Said(_) => true,
        }
    }
}

/// Why the engine has no result.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The code or refresh token is refused for good (`invalid_grant` and what others call it). The only terminal
    /// class, and for a refresh only after re-reading under the lease.
    #[error("the provider refused the grant: {0}")]
    GrantRejected(ErrorCode),
    /// Refused for this resource or until the user does something there (MFA, conditional access): the refresh token
    /// stays good.
    #[error("the provider wants the user to act: {0}")]
    UserActionRequired(ErrorCode),
    /// The broker's own client is refused (`invalid_client`, `unauthorized_client`, …): an operator's fault, the
    /// connection is kept.
    #[error("the provider refused the broker's client: {0}")]
    ClientRejected(ErrorCode),
    /// Status 429 or a code that says so.
    #[error("the provider asks to slow down")]
    RateLimited {
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No usable answer, now. Never costs a connection.
    #[error("the provider is unavailable: {trouble}")]
    Unavailable {
        /// Its `Retry-After`, or the breaker's.
        retry_after: Option<Duration>,
        /// What happened.
        trouble: Trouble,
    },
    /// `invalid_scope`.
    #[error("the provider refused the scopes: {0}")]
    ScopeRejected(ErrorCode),
    /// Another refusal. Not terminal.
    #[error("the provider refused the request: {0}")]
    Refused(ErrorCode),
    /// A successful answer that cannot be used. If it holds a new refresh token, that one must be stored all the
    /// same (RF4): the old one may be dead.
    #[error("the provider's answer cannot be used: {why}")]
    Protocol {
        /// What is wrong.
        why: &'static str,
        /// The new refresh token, if it came with one.
        rescued: Option<SecretString>,
        /// The access token, if it came with one: nobody can use it, so it is to be revoked where nothing else ends it.
        unusable: Option<SecretString>,
    },
    /// RFC 9207: the response came from another issuer, or from none. Nothing was sent.
    #[error("the authorization response does not come from the provider's issuer")]
    IssuerMismatch,
    /// The provider's settings cannot be used. Nothing was sent.
    #[error("the provider is misconfigured: {0}")]
    Misconfigured(&'static str),
}

impl ProviderError {
    /// The stable reason for callers and the audit log.
    pub fn reason(&self) -> Reason {
        match self {
            Self::GrantRejected(_) | Self::UserActionRequired(_) => Reason::ProviderGrantRejected,
            Self::ClientRejected(_) => Reason::ProviderClientRejected,
            Self::RateLimited { .. } => Reason::ProviderRateLimited,
            Self::Unavailable { .. } | Self::Refused(_) | Self::Protocol { .. } => {
                Reason::ProviderUnavailable
            }
            Self::ScopeRejected(_) => Reason::ScopeUnknown,
            Self::IssuerMismatch => Reason::ConsentIssuerMismatch,
            Self::Misconfigured(_) => Reason::Internal,
        }
    }

    /// Whether the grant is dead, so that the user must connect again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::GrantRejected(_))
    }

    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the provider may have received the request: if not, it is safe to send it again.
    pub fn maybe_received(&self) -> bool {
        match self {
            Self::Unavailable { trouble, .. } => trouble.maybe_received(),
            Self::IssuerMismatch | Self::Misconfigured(_) => false,
            _ => true,
        }
    }

    pub(super) fn protocol(why: &'static str) -> Self {
        Self::Protocol { why, rescued: None, unusable: None }
    }

    pub(super) fn unavailable(trouble: Trouble) -> Self {
        Self::Unavailable { retry_after: None, trouble }
    }
}

impl From<NetError> for ProviderError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Misconfigured(why) | NetError::Malformed(why) => Self::Misconfigured(why),
            NetError::Insecure => {
                Self::Misconfigured("an endpoint is neither https nor an allowed loopback peer")
            }
            NetError::Refused { .. } => {
                Self::Misconfigured("an endpoint resolves to a network that is not allowed for this provider")
            }
            other => Self::unavailable(Trouble::Net(other)),
        }
    }
}
