//! Rows that confer authority carry a MAC; a row is usable only after the check (VA11).

use super::Canonical;
use ring::hmac;
use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
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

/// Keys by their ids.
type Ring = Arc<[(String, hmac::Key)]>;

/// The keys that make and check row MACs: the first makes, all check. Clones learn what the first learns.
#[derive(Clone)]
pub struct RowKey {
    keys: Arc<RwLock<Ring>>,
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
        self.ring().iter().any(|(known, _)| known == id)
    }

    fn ring(&self) -> Ring {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tags a row with the current key.
    pub fn tag<T: Authority>(&self, row: T) -> Tagged<T> {
        let (id, key) = &self.ring()[0];
        let mac = RowMac::new(id, hmac::sign(key, message(&row).finish()).as_ref());
        Tagged { row, mac, passed: Arc::default() }
    }

    /// Whether the MAC is right. A row in memory cannot change: it is checked once by the same keys, for all its clones.
    fn verify<T: Authority>(&self, tagged: &Tagged<T>) -> bool {
        let ring = self.ring();
        if tagged.passed.get().is_some_and(|by| Arc::ptr_eq(by, &ring)) {
            return true;
        }
        let Some((named, tag)) = tagged.mac.parts() else { return false };
        let key = ring.iter().find(|(id, _)| id == named);
        let right = key.is_some_and(|(_, key)| hmac::verify(key, message(&tagged.row).finish(), tag).is_ok());
        if right {
            // Other keys may have been first: then it is checked anew each time.
            let _ = tagged.passed.set(ring);
        }
        right
    }
}

fn ring(keys: &[(String, [u8; 32])]) -> Ring {
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
    /// By which keys it passed its check.
    passed: Arc<OnceLock<Ring>>,
}

impl<T: Authority> Tagged<T> {
    /// What storage read; not yet trusted.
    pub fn from_storage(row: T, mac: RowMac) -> Self {
        Self { row, mac, passed: Arc::default() }
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
        if key.verify(&self) { Ok(self.row) } else { Err(self.row) }
    }
}

impl<T: Authority> fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tagged({})", T::TABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str);

    impl Authority for Row {
        const TABLE: &'static str = "rows";

        fn covered(&self, to: &mut Canonical) {
            to.text(self.0);
        }
    }

    impl Clone for Row {
        fn clone(&self) -> Self {
            Self(self.0)
        }
    }

    fn key(id: &str, byte: u8) -> (String, [u8; 32]) {
        (id.to_owned(), [byte; 32])
    }

    /// Proves: VA11
    #[test]
    fn va11_what_passed_once_passes_by_the_same_keys_only() {
        let (first, other) = (RowKey::new(&[key("one", 1)]), RowKey::new(&[key("one", 2)]));
        let tagged = first.tag(Row("alice"));
        let (row, mac) = tagged.stored_parts();
        let edited = Tagged::from_storage(Row("bob"), mac.clone());
        let read = Tagged::from_storage(row.clone(), mac.clone());
        assert!(read.clone().check(&first).is_ok() && read.clone().check(&first).is_ok());
        assert!(edited.clone().check(&first).is_err() && edited.check(&first).is_err());
        assert!(read.clone().check(&other).is_err(), "another ring knows nothing of it");
        first.renew(&[key("two", 3)]);
        assert!(read.clone().check(&first).is_err(), "a key that is gone vouches for nothing");
        first.renew(&[key("two", 3), key("one", 1)]);
        assert!(read.check(&first).is_ok());
    }
}
