//! Rows that confer authority carry a MAC; a row is usable only after the check (VA11).

use super::Canonical;
use ring::hmac;
use std::fmt;

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
pub struct RowMac(Vec<u8>);

impl RowMac {
    /// Of a tag and the id of the key that made it.
    pub fn new(key: &str, tag: &[u8]) -> Self {
        Self([tag, key.as_bytes()].concat())
    }

    /// The column.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Reads the column.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
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

/// The keys that make and check row MACs: the first makes, all check.
#[derive(Clone)]
pub struct RowKey {
    keys: Vec<(String, hmac::Key)>,
}

impl RowKey {
    /// From (key id, 32 secret bytes), the current one first. The `keys` room derives them.
    ///
    /// # Panics
    /// When `keys` is empty.
    pub fn new(keys: &[(String, [u8; 32])]) -> Self {
        assert!(!keys.is_empty(), "a row key ring has at least one key");
        let keys = keys.iter().map(|(id, k)| (id.clone(), hmac::Key::new(hmac::HMAC_SHA256, k))).collect();
        Self { keys }
    }

    /// Tags a row with the current key.
    pub fn tag<T: Authority>(&self, row: T) -> Tagged<T> {
        let (id, key) = &self.keys[0];
        let mac = RowMac::new(id, hmac::sign(key, message(&row).finish()).as_ref());
        Tagged { row, mac }
    }

    fn verify<T: Authority>(&self, row: &T, mac: &RowMac) -> bool {
        let Some((named, tag)) = mac.parts() else { return false };
        let key = self.keys.iter().find(|(id, _)| id == named);
        key.is_some_and(|(_, key)| hmac::verify(key, message(row).finish(), tag).is_ok())
    }
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
        if key.verify(&self.row, &self.mac) { Ok(self.row) } else { Err(Quarantined { table: T::TABLE }) }
    }
}

impl<T: Authority> fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tagged({})", T::TABLE)
    }
}
