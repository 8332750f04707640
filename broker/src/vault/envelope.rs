//! The bytes of a sealed value, format 1.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | format, 1 |
//! | 1 | 1 | length *n* of the tenant key's id, 1 to 63 |
//! | 2 | *n* | tenant key id, ASCII |
//! | 2+*n* | 12 + 32 + 16 | data key wrapped by the tenant key: nonce, ciphertext, tag; AAD: purpose, format, tenant, tenant key id |
//! | 62+*n* | 32 | key commitment: HMAC-SHA-256 under a key derived from the data key |
//! | 94+*n* | 12 | nonce |
//! | 106+*n* | *m* + 16 | content and tag, AES-256-GCM under a key derived from the data key; AAD: [`crate::domain::RecordKey::aad`] |
//!
//! Rotation replaces bytes 1 to 61+*n* and nothing after them: the content's AAD names no key.

use crate::keys::{KeyError, SecretKey, TenantKeys};
use ring::hmac;
use zeroize::Zeroizing;

/// The format written now.
pub const FORMAT: u8 = 1;
/// Largest plaintext, in bytes.
pub const MAX_PLAINTEXT: usize = 64 * 1024;

const WRAPPED: usize = 12 + 32 + 16;
const COMMITMENT: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
const MAX_KEY_ID: usize = 63;

/// Bytes that are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// A format this broker does not know; never taken for an older one.
    #[error("the sealed value has an unknown format")]
    Format,
    /// Too short, too long, or a key id that is not one.
    #[error("the sealed value is malformed")]
    Malformed,
}

/// An envelope taken apart. Borrowed: nothing here is secret.
pub(super) struct Envelope<'a> {
    pub(super) tenant_key: &'a str,
    pub(super) wrapped: &'a [u8],
    /// Commitment, nonce and content: what rotation leaves alone.
    pub(super) content: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BadEnvelope> {
        let (format, rest) = bytes.split_first().ok_or(BadEnvelope::Malformed)?;
        if *format != FORMAT {
            return Err(BadEnvelope::Format);
        }
        let (length, rest) = rest.split_first().ok_or(BadEnvelope::Malformed)?;
        let length = usize::from(*length);
        if !(1..=MAX_KEY_ID).contains(&length) {
            return Err(BadEnvelope::Malformed);
        }
        let (id, rest) = rest.split_at_checked(length).ok_or(BadEnvelope::Malformed)?;
        let (wrapped, content) = rest.split_at_checked(WRAPPED).ok_or(BadEnvelope::Malformed)?;
        let overhead = COMMITMENT + NONCE + TAG;
        if !(overhead..=overhead + MAX_PLAINTEXT).contains(&content.len()) {
            return Err(BadEnvelope::Malformed);
        }
        let tenant_key = std::str::from_utf8(id).map_err(|_| BadEnvelope::Malformed)?;
        Ok(Self { tenant_key, wrapped, content })
    }

    pub(super) fn data_key(&self, keys: &TenantKeys) -> Result<SecretKey, KeyError> {
        keys.unwrap_data_key(FORMAT, self.tenant_key, self.wrapped)
    }

    /// `None` when the commitment or the content does not fit the key and the AAD.
    pub(super) fn open(&self, data_key: &SecretKey, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (commitment, rest) = self.content.split_first_chunk::<COMMITMENT>()?;
        // In constant time, and before anything is decrypted (VA3): a ciphertext made to open under two keys stops here.
        hmac::verify(&commitment_key(data_key), COMMITMENT_LABEL, commitment).ok()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        content_key(data_key).open(nonce, aad, sealed)
    }
}

/// Commitment, nonce and content.
pub(super) fn seal_content(data_key: &SecretKey, nonce: &[u8; NONCE], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let commitment = hmac::sign(&commitment_key(data_key), COMMITMENT_LABEL);
    [commitment.as_ref(), nonce, &content_key(data_key).seal(nonce, aad, plain)].concat()
}

/// How every envelope begins whose data key is wrapped by this tenant key: format, length, id.
pub(super) fn wrapping(tenant_key: &str) -> Vec<u8> {
    let length = u8::try_from(tenant_key.len()).expect("key ids are at most 63 bytes");
    [&[FORMAT, length], tenant_key.as_bytes()].concat()
}

/// Puts an envelope together.
pub(super) fn assemble(tenant_key: &str, wrapped: &[u8], content: &[u8]) -> Vec<u8> {
    [&wrapping(tenant_key), wrapped, content].concat()
}

const COMMITMENT_LABEL: &[u8] = b"broker.v1 key commitment";

/// Derived, like the content key: the commitment says which data key it is and nothing about its bytes.
fn commitment_key(data_key: &SecretKey) -> hmac::Key {
    data_key.derive("data key: commitment").hmac()
}

fn content_key(data_key: &SecretKey) -> SecretKey {
    data_key.derive("data key: content")
}
