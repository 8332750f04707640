//! A person's own key: destroying it erases what the audit log says about them (AU14).

use super::SecretKey;
use crate::domain::{Canonical, Rng};
use zeroize::Zeroizing;

/// Seals the personal fields of audit events about one subject.
pub struct SubjectKey {
    pub(super) id: String,
    pub(super) key: SecretKey,
}

impl SubjectKey {
    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Nonce, ciphertext and tag.
    pub fn seal(&self, rng: &dyn Rng, aad: &Canonical, plain: &[u8]) -> Vec<u8> {
        self.key.seal_fresh(rng, aad.finish(), plain)
    }

    /// What [`Self::seal`] sealed; `None` when anything differs.
    pub fn open(&self, aad: &Canonical, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.key.open_fresh(aad.finish(), sealed)
    }
}
