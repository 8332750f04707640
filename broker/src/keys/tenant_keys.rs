//! A tenant's keys: they wrap data keys and subject keys, and make pseudonyms.

use super::{KeyError, SecretKey, SubjectKey};
use crate::{
    domain::{Canonical, Rng, Subject},
    storage::WrappedKey,
};
use ring::hmac;

/// One tenant key, already split by purpose.
struct TenantKey {
    id: String,
    data: SecretKey,
    subject: SecretKey,
    pseudonym: hmac::Key,
}

/// All keys of one tenant, newest first: the newest wraps, all unwrap.
pub struct TenantKeys {
    tenant: String,
    keys: Vec<TenantKey>,
}

impl TenantKeys {
    pub(super) fn new(tenant: &str, keys: Vec<(String, SecretKey)>) -> Self {
        let split = |(id, key): (String, SecretKey)| TenantKey {
            id,
            data: key.derive("tenant: data key wrapping"),
            subject: key.derive("tenant: subject key wrapping"),
            pseudonym: key.derive("tenant: pseudonym").hmac(),
        };
        debug_assert!(!keys.is_empty(), "a tenant has at least one key");
        Self { tenant: tenant.to_owned(), keys: keys.into_iter().map(split).collect() }
    }

    /// The id of the key that wraps what is new.
    pub fn newest(&self) -> &str {
        &self.keys[0].id
    }

    /// Their ids, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether one of them has this id.
    pub fn knows(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Wraps a data key with the newest key: nonce (12), ciphertext (32), tag (16).
    pub(crate) fn wrap_data_key(&self, format: u8, key: &SecretKey, rng: &dyn Rng) -> Vec<u8> {
        let newest = &self.keys[0];
        newest.data.seal_fresh(rng, self.data_aad(format, &newest.id).finish(), key.expose())
    }

    /// Unwraps a data key.
    pub(crate) fn unwrap_data_key(
        &self,
        format: u8,
        by: &str,
        wrapped: &[u8],
    ) -> Result<SecretKey, KeyError> {
        self.find(by)?
            .data
            .open_fresh(self.data_aad(format, by).finish(), wrapped)
            .and_then(|key| SecretKey::from_slice(&key))
            .ok_or_else(|| KeyError::Tampered { key: by.to_owned() })
    }

    /// The person's stable name in the audit log: 64 hex digits.
    ///
    /// Made by the tenant's oldest key, so that rotation does not rename anybody: that key lives as long as the log.
    pub(super) fn pseudonym(&self, subject: &Subject) -> String {
        let mut message = Canonical::new("broker.v1 pseudonym");
        message.text(subject.realm.as_str()).text(&subject.id);
        let oldest = &self.keys[self.keys.len() - 1];
        data_encoding::HEXLOWER.encode(hmac::sign(&oldest.pseudonym, message.finish()).as_ref())
    }

    /// Wraps a subject key with the newest key; returns the id of that key too.
    pub(super) fn wrap_subject_key(
        &self,
        pseudonym: &str,
        key: &SubjectKey,
        rng: &dyn Rng,
    ) -> (String, Vec<u8>) {
        let newest = &self.keys[0];
        let aad = self.subject_aad(pseudonym, &key.id);
        (newest.id.clone(), newest.subject.seal_fresh(rng, aad.finish(), key.key.expose()))
    }

    /// Unwraps a stored subject key.
    pub(super) fn unwrap_subject_key(&self, stored: &WrappedKey) -> Result<SubjectKey, KeyError> {
        let aad = self.subject_aad(&stored.subject, &stored.id);
        self.find(&stored.wrapped_by)?
            .subject
            .open_fresh(aad.finish(), &stored.wrapped)
            .and_then(|key| SecretKey::from_slice(&key))
            .map(|key| SubjectKey { id: stored.id.clone(), key })
            .ok_or_else(|| KeyError::Tampered { key: stored.id.clone() })
    }

    fn find(&self, id: &str) -> Result<&TenantKey, KeyError> {
        self.keys.iter().find(|key| key.id == id).ok_or_else(|| KeyError::Unknown { key: id.to_owned() })
    }

    fn data_aad(&self, format: u8, by: &str) -> Canonical {
        let mut aad = Canonical::new("broker.v1 wrapped data key");
        aad.bytes(&[format]).text(&self.tenant).text(by);
        aad
    }

    fn subject_aad(&self, pseudonym: &str, key: &str) -> Canonical {
        let mut aad = Canonical::new("broker.v1 wrapped subject key");
        aad.text(&self.tenant).text(pseudonym).text(key);
        aad
    }
}
