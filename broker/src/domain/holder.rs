//! Who holds tokens that are to be revoked at their provider.

use super::{ConnectionId, ConsentId, ids::BadId};
use std::fmt;

/// Whose tokens wait for their revocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenHolder {
    /// A connection that has ended.
    Connection(ConnectionId),
    /// A consent that has ended with tokens nobody will own.
    Consent(ConsentId),
}

impl TokenHolder {
    /// As stored: the id, whose prefix says which kind it is.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connection(id) => id.as_str(),
            Self::Consent(id) => id.as_str(),
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    ///
    /// # Errors
    /// [`BadId`].
    pub fn parse(text: &str) -> Result<Self, BadId> {
        ConnectionId::parse(text).map(Self::Connection).or_else(|_| ConsentId::parse(text).map(Self::Consent))
    }
}

impl fmt::Display for TokenHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
