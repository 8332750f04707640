//! The keys of the audit log's MACs. They never enter the database.

use super::SecretKey;
use ring::hmac;

/// HMAC-SHA-256 keys by id: the first signs, all verify.
#[derive(Clone)]
pub struct AuditKeys {
    keys: Vec<(String, hmac::Key)>,
}

impl AuditKeys {
    pub(super) fn new(keys: &[(String, SecretKey)]) -> Self {
        Self { keys: keys.iter().map(|(id, key)| (id.clone(), key.hmac())).collect() }
    }

    /// The id of the key that signs.
    pub fn current(&self) -> &str {
        &self.keys[0].0
    }

    /// A MAC by the key named [`Self::current`].
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.keys[0].1, message).as_ref());
        tag
    }

    /// Whether `key` is known and made `tag`; in constant time.
    pub fn verify(&self, key: &str, message: &[u8], tag: &[u8]) -> bool {
        self.keys
            .iter()
            .find(|(id, _)| id == key)
            .is_some_and(|(_, key)| hmac::verify(key, message, tag).is_ok())
    }
}
