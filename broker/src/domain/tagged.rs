//! Rows that confer authority carry a MAC; a row is usable only after the check (VA11).

use super::Canonical;
use ring::hmac;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

/// A row whose security-relevant columns are covered by a MAC.
pub trait Authority {
    /// The table, bound into the MAC.
    const TABLE: &'static str;
    /// Appends every covered column.
    fn covered(&self, to: &mut Canonical);
}

/// A row MAC and the id of the key that made it, as one column: the 32-byte HMAC-SHA-256 tag, then the key id. What storage
/// holds is kept as it is; a value too short or not UTF-8 is a MAC that no key made.
#[derive(Clone, PartialEq, Eq)]
pub struct RowMac(Arc<[u8]>);

impl RowMac {
    /// Of a tag and the id of the key that made it.
    pub fn new(key: &str, tag: &[u8]) -> Self {
        Self([tag, key.as_bytes()].concat().into())
    }

    /// The column.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Reads the column.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The key's id and the tag; `None` for a value too short or not UTF-8.
    pub fn parts(&self) -> Option<(&str, &[u8])> {
        let (tag, key) = self.0.split_at_checked(32)?;
        Some((std::str::from_utf8(key).ok()?, tag))
    }
}

impl fmt::Debug for RowMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowMac({})", self.parts().map_or("", |(key, _)| key))
    }
}

/// A row that failed its check: it is never served, and never treated as absent (VA9).
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("a row of {table} failed its integrity check")]
pub struct Quarantined {
    /// Where the row sits.
    pub table: &'static str,
}

/// The keys that make and check row MACs: the first makes, all check. Clones learn what the first learns.
#[derive(Clone)]
pub struct RowKey {
    keys: Arc<RwLock<Vec<(String, hmac::Key)>>>,
}

impl RowKey {
    /// From (key id, 32 secret bytes), the current one first. The `keys` room derives them.
    ///
    /// # Panics
    /// When `keys` is empty.
    pub fn new(keys: &[(String, [u8; 32])]) -> Self {
        Self { keys: Arc::new(RwLock::new(ring(keys))) }
    }

    /// Takes these in place of those there were, here and in every clone.
    ///
    /// # Panics
    /// When `keys` is empty.
    pub fn renew(&self, keys: &[(String, [u8; 32])]) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = ring(keys);
    }

    /// Whether a key of that id is here.
    pub fn knows(&self, id: &str) -> bool {
        self.read().iter().any(|(known, _)| known == id)
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<(String, hmac::Key)>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tags a row with the current key.
    pub fn tag<T: Authority>(&self, row: T) -> Tagged<T> {
        let keys = self.read();
        let (id, key) = &keys[0];
        let mac = RowMac::new(id, hmac::sign(key, message(&row).finish()).as_ref());
        drop(keys);
        Tagged { row, mac }
    }

    fn verify<T: Authority>(&self, row: &T, mac: &RowMac) -> bool {
        let Some((named, tag)) = mac.parts() else { return false };
        let keys = self.read();
        let key = keys.iter().find(|(id, _)| id == named);
        key.is_some_and(|(_, key)| hmac::verify(key, message(row).finish(), tag).is_ok())
    }
}

fn ring(keys: &[(String, [u8; 32])]) -> Vec<(String, hmac::Key)> {
    assert!(!keys.is_empty(), "a row key ring has at least one key");
    keys.iter().map(|(id, key)| (id.clone(), hmac::Key::new(hmac::HMAC_SHA256, key))).collect()
}

fn message<T: Authority>(row: &T) -> Canonical {
    let mut message = Canonical::new("broker.v1 row");
    message.text(T::TABLE);
    row.covered(&mut message);
    message
}

/// A row and its MAC. The row comes out only through [`Tagged::check`].
#[derive(Clone)]
pub struct Tagged<T> {
    row: T,
    mac: RowMac,
}

impl<T: Authority> Tagged<T> {
    /// What storage read; not yet trusted.
    pub fn from_storage(row: T, mac: RowMac) -> Self {
        Self { row, mac }
    }

    /// The id of the key that is said to have made the MAC; `None` for what no key made.
    pub fn key_id(&self) -> Option<&str> {
        self.mac.parts().map(|(id, _)| id)
    }

    /// The columns and the MAC, for storage's writes and nothing else.
    pub fn stored_parts(&self) -> (&T, &RowMac) {
        (&self.row, &self.mac)
    }

    /// The row without a check: to retire a row that failed it, never to rely on what it says.
    pub fn unverified(self) -> T {
        self.row
    }

    /// Yields the row if its MAC is right.
    ///
    /// # Errors
    /// [`Quarantined`] when a covered column or the MAC was changed, or its key is unknown.
    pub fn check(self, key: &RowKey) -> Result<T, Quarantined> {
        self.sift(key).map_err(|_| Quarantined { table: T::TABLE })
    }

    /// The same for whoever retires a row that fails.
    ///
    /// # Errors
    /// The row without a check, as from [`Self::unverified`].
    pub fn sift(self, key: &RowKey) -> Result<T, T> {
        if key.verify(&self.row, &self.mac) { Ok(self.row) } else { Err(self.row) }
    }
}

impl<T: Authority> fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tagged({})", T::TABLE)
    }
}
