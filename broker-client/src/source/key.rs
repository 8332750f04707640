//! What a remembered grant may answer for: exactly the request it was issued for (GR4).

use crate::GrantRequest;
use ring::digest::{Context, SHA256};

/// SHA-256 over everything that makes two requests different. Holds no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(request: &GrantRequest) -> Self {
        let mut hash = Hash(Context::new(&SHA256));
        hash.part(request.assertion.expose().as_bytes());
        hash.part(request.provider.as_bytes());
        // Order and repetition of scopes carry no meaning (RFC 6749 section 3.3).
        let mut scopes: Vec<&str> = request.scopes.iter().map(String::as_str).collect();
        scopes.sort_unstable();
        scopes.dedup();
        hash.number(scopes.len() as u128);
        scopes.iter().for_each(|scope| hash.part(scope.as_bytes()));
        hash.optional(request.connection.as_deref());
        hash.optional(request.resource.as_deref());
        hash.number(request.ttl.map_or(u128::MAX, |ttl| ttl.as_nanos()));
        // Policy sees tool and purpose, so its answer for one does not hold for another.
        hash.part(request.tool.as_bytes());
        hash.part(request.purpose.as_bytes());
        hash.finish()
    }

    /// Of several requests at once, in their order.
    pub(super) fn of_all(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut hash = Hash(Context::new(&SHA256));
        keys.into_iter().for_each(|key| hash.part(&key.0));
        hash.finish()
    }
}

/// Hashes parts with their lengths, so that no two lists of parts look alike.
struct Hash(Context);

impl Hash {
    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u128);
        self.0.update(bytes);
    }

    fn optional(&mut self, value: Option<&str>) {
        self.number(u128::from(value.is_some()));
        self.part(value.unwrap_or_default().as_bytes());
    }

    fn number(&mut self, number: u128) {
        self.0.update(&number.to_be_bytes());
    }

    fn finish(self) -> Key {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.finish().as_ref());
        Key(key)
    }
}
