//! What the vault does once it has a tenant's keys: no waiting, no I/O.

use super::{
    VaultError,
    envelope::{Envelope, FORMAT, MAX_PLAINTEXT, assemble, seal_content},
};
use crate::{
    domain::{Kind, RecordKey, Rng, Sealed},
    keys::{SecretKey, TenantKeys},
};
use zeroize::Zeroizing;

/// Seals under a fresh data key.
pub(super) fn seal<K: Kind>(
    keys: &TenantKeys,
    rng: &dyn Rng,
    record: &RecordKey,
    plain: &[u8],
) -> Result<Sealed<K>, VaultError> {
    if plain.len() > MAX_PLAINTEXT {
        return Err(VaultError::TooBig { limit: MAX_PLAINTEXT });
    }
    let data_key = SecretKey::random(rng);
    let mut nonce = [0; 12];
    rng.fill(&mut nonce);
    let content = seal_content(&data_key, &nonce, record.aad(FORMAT, K::COLUMN).finish(), plain);
    let wrapped = keys.wrap_data_key(FORMAT, &data_key, rng);
    Ok(Sealed::from_envelope(assemble(keys.newest(), &wrapped, &content)))
}

/// Opens what was sealed for exactly `record`.
pub(super) fn open<K: Kind>(
    keys: &TenantKeys,
    record: &RecordKey,
    sealed: &Sealed<K>,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let envelope = Envelope::parse(sealed.envelope())?;
    let data_key = envelope.data_key(keys)?;
    envelope.open(&data_key, record.aad(FORMAT, K::COLUMN).finish()).ok_or(VaultError::Tampered)
}

/// Wraps an envelope's data key with the tenant's newest key; the content's bytes stay as they are, and nothing is opened.
pub(super) fn rewrap(keys: &TenantKeys, rng: &dyn Rng, envelope: &[u8]) -> Result<Vec<u8>, VaultError> {
    let envelope = Envelope::parse(envelope)?;
    let wrapped = keys.wrap_data_key(FORMAT, &envelope.data_key(keys)?, rng);
    Ok(assemble(keys.newest(), &wrapped, envelope.content))
}
