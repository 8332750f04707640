//! Keys for small values that are not vault rows (cookies, the spool): several may open, the first seals.

use super::SecretKey;
use crate::domain::{Canonical, Rng};
use zeroize::Zeroizing;

/// AES-256-GCM keys for one purpose.
///
/// A sealed value is: length of the key id (1 byte), key id, nonce (12), ciphertext, tag (16).
pub struct AeadKeys {
    keys: Vec<(String, SecretKey)>,
}

/// A value that none of the keys sealed under these circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct NotOurs;

impl AeadKeys {
    pub(super) fn new(keys: Vec<(String, SecretKey)>) -> Self {
        debug_assert!(!keys.is_empty(), "a key ring has at least one key");
        Self { keys }
    }

    /// Seals under the newest key. `aad` must be given again to open.
    pub fn seal(&self, rng: &dyn Rng, aad: &Canonical, plain: &[u8]) -> Vec<u8> {
        let (id, key) = &self.keys[0];
        let length = u8::try_from(id.len()).expect("key ids are short");
        [&[length], id.as_bytes(), &key.seal_fresh(rng, aad.finish(), plain)].concat()
    }

    /// Opens what [`Self::seal`] made under any of the keys.
    ///
    /// # Errors
    /// [`NotOurs`] when a byte, the AAD or the key is another.
    pub fn open(&self, aad: &Canonical, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        let (length, rest) = sealed.split_first().ok_or(NotOurs)?;
        let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or(NotOurs)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known.as_bytes() == id).ok_or(NotOurs)?;
        key.open_fresh(aad.finish(), rest).ok_or(NotOurs)
    }
}
