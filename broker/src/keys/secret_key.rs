//! 32 secret bytes: what is encrypted under them, and what is derived from them.

use crate::domain::Rng;
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE: usize = 12;

/// A 256-bit key. Wiped when dropped; neither printable, comparable nor clonable.
pub(crate) struct SecretKey(Box<Zeroizing<[u8; 32]>>);

impl SecretKey {
    pub(crate) fn random(rng: &dyn Rng) -> Self {
        // Boxed first, filled in place: no copy is left on the stack.
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        rng.fill(&mut key.0[..]);
        key
    }

    /// `None` unless there are exactly 32 bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        if bytes.len() != key.0.len() {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The subkey named `label` (HKDF-SHA-256, RFC 5869).
    pub(crate) fn derive(&self, label: &str) -> Self {
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"broker.v1")
            .extract(&self.0[..])
            .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key.0[..]))
            .expect("32 bytes are within HKDF's limit");
        key
    }

    pub(crate) fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0[..])
    }

    /// Ciphertext and tag.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        self.cipher()
            .encrypt(&(*nonce).into(), Payload { msg: plain, aad })
            .expect("plaintexts here are far below AES-GCM's limit")
    }

    /// Nonce, ciphertext and tag, under a fresh random nonce.
    pub(crate) fn seal_fresh(&self, rng: &dyn Rng, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        rng.fill(&mut nonce);
        [&nonce[..], &self.seal(&nonce, aad, plain)].concat()
    }

    /// `None` when the key, nonce, AAD or any byte is not what was sealed.
    pub(crate) fn open(&self, nonce: &[u8; NONCE], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher().decrypt(&(*nonce).into(), Payload { msg: sealed, aad }).ok().map(Zeroizing::new)
    }

    /// Opens what [`Self::seal_fresh`] made.
    pub(crate) fn open_fresh(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk()?;
        self.open(nonce, aad, rest)
    }

    fn cipher(&self) -> Aes256Gcm {
        let key: &[u8; 32] = &self.0;
        Aes256Gcm::new(key.into())
    }
}
