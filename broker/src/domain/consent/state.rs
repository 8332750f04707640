//! Where a consent stands.

use crate::domain::{
    AccessToken, Account, ConnectionId, PkceVerifier, Reason, RefreshToken, ScopeSet, Sealed, Timestamp,
};

/// What the provider answered, waiting sealed for the person to confirm the account.
#[derive(Clone, Debug)]
pub struct Obtained {
    /// The account that granted.
    pub account: Account,
    /// What was really granted (CO10).
    pub scopes: ScopeSet,
    /// The refresh token, if the provider gave one.
    pub refresh: Option<Sealed<RefreshToken>>,
    /// The access token.
    pub access: Sealed<AccessToken>,
    /// When the access token ends.
    pub access_expires_at: Option<Timestamp>,
}

/// Where a consent stands. Each state holds what is true in it and nothing else.
#[derive(Clone, Debug)]
pub enum ConsentState {
    /// The link is out.
    Pending,
    /// The user said yes and left for the provider.
    Approved {
        /// SHA-256 of the OAuth `state` parameter.
        state_hash: [u8; 32],
        /// SHA-256 of the browser-binding cookie.
        browser_hash: [u8; 32],
        /// The PKCE verifier, sealed.
        verifier: Sealed<PkceVerifier>,
    },
    /// The callback arrived and its `state` was consumed; the code is being exchanged.
    Exchanging {
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: [u8; 32],
        /// SHA-256 of the browser-binding cookie.
        browser_hash: [u8; 32],
    },
    /// Tokens are here; the person is asked whether the account is right.
    AwaitingConfirmation {
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: [u8; 32],
        /// SHA-256 of the browser-binding cookie.
        browser_hash: [u8; 32],
        /// What waits.
        obtained: Box<Obtained>,
    },
    /// Done: the connection and approval exist.
    Completed {
        /// The connection that came of it.
        connection: ConnectionId,
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: Option<[u8; 32]>,
    },
    /// The user said no, here or at the provider.
    Declined {
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: Option<[u8; 32]>,
    },
    /// Nobody finished it in time.
    Expired {
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: Option<[u8; 32]>,
    },
    /// It could not be finished.
    Failed {
        /// Why.
        reason: Reason,
        /// Kept so that a reload of the callback shows the outcome (CO6).
        state_hash: Option<[u8; 32]>,
    },
}

impl ConsentState {
    /// As stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Exchanging { .. } => "exchanging",
            Self::AwaitingConfirmation { .. } => "awaiting_confirmation",
            Self::Completed { .. } => "completed",
            Self::Declined { .. } => "declined",
            Self::Expired { .. } => "expired",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether nothing follows.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. } | Self::Declined { .. } | Self::Expired { .. } | Self::Failed { .. }
        )
    }

    /// SHA-256 of the OAuth `state`, where one was made.
    pub fn state_hash(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Approved { state_hash, .. }
            | Self::Exchanging { state_hash, .. }
            | Self::AwaitingConfirmation { state_hash, .. } => Some(state_hash),
            Self::Completed { state_hash, .. }
            | Self::Declined { state_hash }
            | Self::Expired { state_hash }
            | Self::Failed { state_hash, .. } => state_hash.as_ref(),
            Self::Pending => None,
        }
    }

    /// SHA-256 of the browser-binding cookie, while one counts.
    pub fn browser_hash(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Approved { browser_hash, .. }
            | Self::Exchanging { browser_hash, .. }
            | Self::AwaitingConfirmation { browser_hash, .. } => Some(browser_hash),
            _ => None,
        }
    }
}
