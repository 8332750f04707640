//! Cookie values the browser carries but cannot read or change.

use super::AeadKeys;
use crate::domain::{Canonical, Rng};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;
use zeroize::Zeroizing;

pub use super::aead_keys::NotOurs;

/// Largest value sealed, in bytes: with the envelope and base64 it stays below a browser's 4096.
pub const MAX_VALUE: usize = 2048;

/// Why a cookie was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cookie's value is limited to 2048 bytes")]
pub struct TooBig;

/// Seals and opens cookie values.
pub struct SealedCookies {
    keys: AeadKeys,
    rng: Arc<dyn Rng>,
}

impl SealedCookies {
    pub(super) fn new(keys: AeadKeys, rng: Arc<dyn Rng>) -> Self {
        Self { keys, rng }
    }

    /// The cookie's text, base64url. It opens only under the same cookie name and purpose.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn seal(&self, name: &str, purpose: &str, value: &[u8]) -> Result<String, TooBig> {
        if value.len() > MAX_VALUE {
            return Err(TooBig);
        }
        Ok(URL_SAFE_NO_PAD.encode(self.keys.seal(&*self.rng, &aad(name, purpose), value)))
    }

    /// The value.
    ///
    /// # Errors
    /// [`NotOurs`] when the text was changed, or sealed for another cookie, purpose or broker.
    pub fn open(&self, name: &str, purpose: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        if text.len() > MAX_VALUE * 2 {
            return Err(NotOurs);
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotOurs)?;
        self.keys.open(&aad(name, purpose), &sealed)
    }
}

fn aad(name: &str, purpose: &str) -> Canonical {
    let mut aad = Canonical::new("broker.v1 cookie");
    aad.text(name).text(purpose);
    aad
}
