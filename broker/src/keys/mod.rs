//! KEK, tenant keys and named subkeys; makes and checks tags.
//!
//! Root key (operator's file) → system key and tenant keys (wrapped, in the database) → subkeys by HKDF, one per
//! purpose (VA12). A data key per stored value is the vault's business; it is wrapped by a tenant key from here.

pub mod aead_keys;
pub mod audit_keys;
pub mod error;
pub mod file_keyring;
pub mod key_ring;
pub mod known_rows;
mod rotation;
pub mod sealed_cookie;
mod secret_key;
pub mod subject_key;
mod system_key;
pub mod tenant_keys;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use aead_keys::AeadKeys;
pub use audit_keys::AuditKeys;
pub use error::{KeyError, KeyringError};
pub use file_keyring::FileKeyring;
pub use key_ring::{KeyRing, KeyRingLimits};
pub use known_rows::with_known_keys;
pub use sealed_cookie::SealedCookies;
pub(crate) use secret_key::SecretKey;
pub use subject_key::SubjectKey;
pub use system_key::Subkey;
pub use tenant_keys::TenantKeys;

use crate::domain::Rng;

/// A fresh key id: `key_` and 128 random bits.
pub(crate) fn random_key_id(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    format!("key_{}", data_encoding::BASE32HEX_NOPAD.encode(&bytes).to_ascii_lowercase())
}
