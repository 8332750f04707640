//! Scopes (RFC 6749 §3.3) and sets of them. Order never matters.

use std::{collections::BTreeSet, fmt, sync::Arc};

/// One scope-token.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Scope(Arc<str>);

/// A text that is not a scope, or too many of them.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum BadScope {
    /// Empty, longer than [`Scope::MAX_LENGTH`] bytes, or with a character RFC 6749 §3.3 does not allow.
    #[error("a scope is 1 to 256 printable ASCII characters without space, quote or backslash")]
    Malformed,
    /// More than [`ScopeSet::MAX`] scopes.
    #[error("more than 64 scopes")]
    TooMany,
}

impl Scope {
    /// Longest scope accepted, in bytes.
    pub const MAX_LENGTH: usize = 256;

    /// Reads a scope-token.
    ///
    /// # Errors
    /// [`BadScope::Malformed`].
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(BadScope::Malformed)
        }
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes. Clones share it.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize)]
pub struct ScopeSet(Arc<BTreeSet<Scope>>);

impl ScopeSet {
    /// Most scopes in one set.
    pub const MAX: usize = 64;
    /// Most scopes in a set the broker stores: a union of what is asked, held and approved.
    pub const MAX_STORED: usize = 4 * Self::MAX;

    /// Reads a list of scope-tokens; repeats are one.
    ///
    /// # Errors
    /// [`BadScope`] for the first that is malformed, or when there are too many.
    pub fn parse<I: IntoIterator<Item = S>, S: AsRef<str>>(texts: I) -> Result<Self, BadScope> {
        let mut set = BTreeSet::new();
        for text in texts {
            set.insert(Scope::parse(text.as_ref())?);
            if set.len() > Self::MAX {
                return Err(BadScope::TooMany);
            }
        }
        Ok(Self(Arc::new(set)))
    }

    /// Reads what [`Self::canonical`] wrote. Sets the broker has united may be larger than [`Self::MAX`], up to
    /// [`Self::MAX_STORED`].
    ///
    /// # Errors
    /// [`BadScope`].
    pub fn from_stored(text: &str) -> Result<Self, BadScope> {
        let set: BTreeSet<Scope> =
            text.split(' ').filter(|s| !s.is_empty()).map(Scope::parse).collect::<Result<_, _>>()?;
        if set.len() > Self::MAX_STORED { Err(BadScope::TooMany) } else { Ok(Self(Arc::new(set))) }
    }

    /// Reads a `scope` parameter whose scopes are separated by `separator` (a space in RFC 6749).
    ///
    /// # Errors
    /// [`BadScope`].
    pub fn split(text: &str, separator: char) -> Result<Self, BadScope> {
        Self::parse(text.split([separator, ' ']).filter(|part| !part.is_empty()))
    }

    /// Sorted and joined by single spaces: equal sets have equal texts.
    pub fn canonical(&self) -> String {
        self.join(" ")
    }

    /// Sorted and joined by `separator`.
    pub fn join(&self, separator: &str) -> String {
        self.0.iter().map(Scope::as_str).collect::<Vec<_>>().join(separator)
    }

    /// Whether every scope of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether there is no scope.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `scope` is in this set.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Scopes in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_subset(self) {
            return self.clone();
        }
        self.0.union(&other.0).cloned().collect()
    }

    /// Scopes in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if self.is_subset(other) {
            return self.clone();
        }
        self.0.intersection(&other.0).cloned().collect()
    }

    /// Scopes of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        if self.0.is_disjoint(&other.0) {
            return self.clone();
        }
        self.0.difference(&other.0).cloned().collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(Arc::new(scopes.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_do_not_matter() {
        let a = ScopeSet::parse(["b", "a", "b"]).unwrap();
        let b = ScopeSet::split("a,b", ',').unwrap();
        assert_eq!(a, b);
        assert_eq!(a.canonical(), "a b");
    }

    #[test]
    fn malformed_scopes_are_errors_never_dropped() {
        for bad in ["", "a b", "a\"", "a\\", "ä", "a\n", &"x".repeat(257)] {
            assert_eq!(Scope::parse(bad), Err(BadScope::Malformed), "{bad:?}");
        }
        let many: Vec<_> = (0..65).map(|n| format!("s{n}")).collect();
        assert_eq!(ScopeSet::parse(many), Err(BadScope::TooMany));
    }
}
