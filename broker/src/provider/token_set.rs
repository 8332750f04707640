//! What a token endpoint gave.

use crate::domain::{ScopeSet, SecretString, Timestamp};
use std::fmt;

/// Tokens fresh from the provider.
pub struct TokenSet {
    /// The access token.
    pub access: SecretString,
    /// The refresh token; `None` = the old one, if any, stays (RF7).
    pub refresh: Option<SecretString>,
    /// What was really granted, technical scopes left out (CO10).
    pub scopes: ScopeSet,
    /// When the provider stops honouring the access token, counted from before the request was sent; `None` = never.
    pub access_expires_at: Option<Timestamp>,
}

impl TokenSet {
    /// Scopes asked for and not granted.
    pub fn missing(&self, requested: &ScopeSet) -> ScopeSet {
        requested.minus(&self.scopes)
    }

    /// Scopes granted and not asked for.
    pub fn wider(&self, requested: &ScopeSet) -> ScopeSet {
        self.scopes.minus(requested)
    }
}

/// Prints no token.
impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("refresh", &self.refresh.is_some())
            .field("scopes", &self.scopes)
            .field("access_expires_at", &self.access_expires_at)
            .finish_non_exhaustive()
    }
}
