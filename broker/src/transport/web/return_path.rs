//! Where a sign-in leads back to: a closed list, so that it is no open redirect (CO16).

use super::cookies::is_token;

/// A page a sign-in may return to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ReturnPath {
    /// A consent, by its handle.
    Consent(String),
    /// A parent page, by its handle.
    Parent(String),
    /// The person's own connections.
    Connections,
}

impl ReturnPath {
    /// Reads exactly what [`Self::path`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "/connections" {
            return Some(Self::Connections);
        }
        let known = |handle: &&str| is_token(handle);
        if let Some(handle) = text.strip_prefix("/consents/").filter(known) {
            return Some(Self::Parent(handle.to_owned()));
        }
        let handle = text.strip_prefix("/consent/").filter(known)?;
        Some(Self::Consent(handle.to_owned()))
    }

    /// The path on this host.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Consent(handle) => format!("/consent/{handle}"),
            Self::Parent(handle) => format!("/consents/{handle}"),
            Self::Connections => "/connections".to_owned(),
        }
    }
}
