//! A key as the database holds it: wrapped by another.

use super::Timestamp;

/// A wrapped key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key's id, unique.
    pub id: String,
    /// Whose: a tenant's name, or `""` for the broker's own system key.
    pub tenant: String,
    /// For a subject key: the subject's pseudonym; `""` for a tenant key.
    pub subject: String,
    /// The key that wraps it.
    pub wrapped_by: String,
    /// Nonce and ciphertext.
    pub wrapped: Vec<u8>,
    /// When it was made, UTC.
    pub created_at: Timestamp,
}
