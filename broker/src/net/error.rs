//! What can go wrong on the way out. Never carries a body, a query string or a header.

use crate::trace::Failure;
use std::net::IpAddr;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Every address of the host is one that may not be connected to (NE2). Nothing was sent.
    #[error(
        "the address {address} may not be connected to; the operator can allow its network for this destination"
    )]
    Refused {
        /// The first refused address.
        address: IpAddr,
    },
    /// Plain HTTP to something other than an allowed loopback peer. Nothing was sent.
    #[error("only https is spoken, except to a loopback peer that is allowed by name")]
    Insecure,
    /// The URL or request cannot be sent as it is. Nothing was sent.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The destination's own settings cannot be used. Nothing was sent.
    #[error("the destination is misconfigured: {0}")]
    Misconfigured(&'static str),
    /// The name does not resolve or nobody accepts the connection. Nothing was sent.
    #[error("cannot connect")]
    Connect,
    /// The TLS handshake failed, e.g. an untrusted certificate. Nothing was sent.
    #[error("the TLS handshake failed")]
    Tls,
    /// The total deadline passed. The request may have been received.
    #[error("no complete response within the deadline")]
    Timeout,
    /// The response is bigger than allowed. The request was received.
    #[error("the response is larger than {limit} bytes")]
    TooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// The connection broke or the peer did not speak HTTP. The request may have been received.
    #[error("the connection broke before the response was complete")]
    Broken,
}

impl NetError {
    /// Whether the peer may have received the request and acted on it.
    pub fn maybe_received(&self) -> bool {
        matches!(self, Self::Timeout | Self::TooBig { .. } | Self::Broken)
    }

    /// Sorts what reqwest reports by what lies at its root.
    pub(super) fn from_reqwest(error: &reqwest::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(this) = cause {
            if let Some(refused) = this.downcast_ref::<super::resolver::RefusedAddress>() {
                return Self::Refused { address: refused.0 };
            }
            if error.is_connect() && is_tls(this) {
                return Self::Tls;
            }
            cause = this.source();
        }
        if error.is_builder() {
            Self::Malformed("it cannot be put into HTTP")
        } else if error.is_connect() {
            Self::Connect
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Broken
        }
    }
}

impl Failure for NetError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "address_refused",
            Self::Insecure => "insecure",
            Self::Malformed(_) => "malformed",
            Self::Misconfigured(_) => "misconfigured",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::TooBig { .. } => "too_big",
            Self::Broken => "broken",
        }
    }
}

/// An I/O error hides what it wraps from `source()`, and TLS errors arrive wrapped more than once.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<rustls::Error>()
        || error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| is_tls(inner))
}
