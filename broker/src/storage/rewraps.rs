//! Sealed values by the tenant key that wraps them, and putting them back wrapped by another.

use super::{StoreError, WrappedKey};
use crate::domain::{Authority, Consent, SecretRow, Tagged};
use async_trait::async_trait;

/// Sealed values by the tenant key that wraps them. `wrapping` is how every envelope of that key begins. Whatever is put back takes the
/// place of exactly what was read, or of nothing: whoever wrote meanwhile keeps what they wrote.
#[async_trait]
pub trait Rewraps: Send + Sync {
    /// Tokens, in the order of their places, after `after`.
    async fn tokens(
        &self,
        wrapping: &[u8],
        after: Option<&TokenPlace>,
        limit: u32,
    ) -> Result<Vec<Found<TokenPlace, SecretRow>>, StoreError>;
    /// Consents that hold at least one such value, by id, after `after`.
    async fn sealed_consents(
        &self,
        wrapping: &[u8],
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found<String, Consent>>, StoreError>;
    /// People's keys that the tenant key `key` wraps, by id, after `after`.
    async fn subject_keys(&self, key: &str, after: &str, limit: u32) -> Result<Vec<WrappedKey>, StoreError>;
    /// Puts tokens back in one short transaction, without waiting for anybody who is at one of them; how many it was.
    async fn replace_tokens(&self, batch: &[Replacement<SecretRow>]) -> Result<u64, StoreError>;
    /// Puts a consent back; whether it was still what was read. Its version stays: nothing that is true of it has changed.
    async fn replace_consent(&self, consent: &Replacement<Consent>) -> Result<bool, StoreError>;
    /// How much a tenant key wraps now.
    async fn uses(&self, key: &str, wrapping: &[u8]) -> Result<Uses, StoreError>;
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// The connection's id.
    pub connection: String,
    /// `access` or `refresh`.
    pub kind: String,
    /// Its scope key.
    pub scope_key: String,
}

/// A row and its place.
#[derive(Clone, Debug)]
pub struct Found<P, T: Authority> {
    /// Where it is.
    pub place: P,
    /// `None`: it cannot be read.
    pub row: Option<Tagged<T>>,
}

/// A row as it was read, and as it is to be.
#[derive(Clone, Debug)]
pub struct Replacement<T: Authority> {
    /// As it was read.
    pub was: Tagged<T>,
    /// In its place.
    pub becomes: Tagged<T>,
}

/// How much a tenant key wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Tokens of connections.
    pub tokens: u64,
    /// Consents that hold something sealed.
    pub consents: u64,
    /// People's keys.
    pub subject_keys: u64,
}

impl Uses {
    /// All of it.
    pub fn sum(&self) -> u64 {
        self.tokens + self.consents + self.subject_keys
    }
}
