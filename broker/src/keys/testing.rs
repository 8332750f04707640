//! Doubles for unit tests of this room and those below it.

use super::{FileKeyring, KeyRing};
use crate::{
    domain::{ManualClock, Rng, Timestamp},
    storage::{StoreError, WrappedKey, WrappedKeys},
};
use async_trait::async_trait;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Bytes that are the same on every run: SHA-256 over a label and a counter.
#[derive(Default)]
pub(crate) struct SeededRng(AtomicU64);

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::SeqCst);
            let block = ring::digest::digest(
                &ring::digest::SHA256,
                &[&b"broker test vector"[..], &count.to_be_bytes()].concat(),
            );
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

/// Wrapped keys in memory.
#[derive(Default)]
pub(crate) struct MemoryKeys {
    pub(crate) rows: Mutex<Vec<WrappedKey>>,
    pub(crate) down: AtomicBool,
    pub(crate) reads: AtomicU64,
}

impl MemoryKeys {
    fn up(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("switched off by a test".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl WrappedKeys for MemoryKeys {
    async fn tenant_keys(&self, tenant: &str) -> Result<Vec<WrappedKey>, StoreError> {
        self.up()?;
        let rows = self.rows.lock().unwrap();
        let of_tenant = rows.iter().rev().filter(|r| r.tenant == tenant && r.subject.is_empty());
        let mut found: Vec<_> = of_tenant.cloned().collect();
        found.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        Ok(found)
    }

    async fn subject_key(&self, tenant: &str, pseudonym: &str) -> Result<Option<WrappedKey>, StoreError> {
        self.up()?;
        let rows = self.rows.lock().unwrap();
        Ok(rows.iter().find(|r| r.tenant == tenant && r.subject == pseudonym).cloned())
    }

    async fn insert(&self, key: &WrappedKey, first_of_tenant: bool) -> Result<(), StoreError> {
        self.up()?;
        let mut rows = self.rows.lock().unwrap();
        let same = |r: &&WrappedKey| r.tenant == key.tenant && r.subject == key.subject;
        if (first_of_tenant || !key.subject.is_empty()) && rows.iter().any(|r| same(&r)) {
            return Err(StoreError::Exists);
        }
        rows.push(key.clone());
        Ok(())
    }

    async fn rewrap(&self, was: &WrappedKey, wrapped_by: &str, wrapped: &[u8]) -> Result<bool, StoreError> {
        self.up()?;
        let mut rows = self.rows.lock().unwrap();
        let Some(row) = rows.iter_mut().find(|row| *row == was) else { return Ok(false) };
        row.wrapped_by = wrapped_by.to_owned();
        row.wrapped = wrapped.to_vec();
        Ok(true)
    }

    async fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.up()?;
        let mut counts = std::collections::BTreeMap::new();
        for row in self.rows.lock().unwrap().iter().filter(|row| row.subject.is_empty()) {
            *counts.entry(row.tenant.clone()).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }
}

pub(crate) const ROOT: [u8; 32] = *b"\x9a\x01\x77\xf3\x10\xc2\x5e\x88\x41\xd0\x2b\xe6\x93\x0f\x7c\xaa\xb4\x65\x1e\xd9\x30\x8f\xc7\x52\x06\xeb\x94\x3d\x71\xa8\x5f\xcc";

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)))
}

/// A ring over fresh memory, with everything that went into it.
pub(crate) async fn ring() -> (Arc<KeyRing>, Arc<MemoryKeys>, Arc<ManualClock>) {
    let (store, clock) = (Arc::new(MemoryKeys::default()), clock());
    let root = FileKeyring::of("root", ROOT);
    let ring =
        KeyRing::open(root, store.clone(), clock.clone(), Arc::new(SeededRng::default())).await.unwrap();
    (Arc::new(ring), store, clock)
}

/// Tenant keys of known bytes, newest first.
pub(crate) fn tenant_keys(tenant: &str, keys: &[(&str, [u8; 32])]) -> super::TenantKeys {
    let keys = keys.iter().map(|(id, key)| ((*id).to_owned(), super::SecretKey::from_slice(key).unwrap()));
    super::TenantKeys::new(tenant, keys.collect())
}

/// Audit keys derived from a system key of known bytes.
pub(crate) fn audit_keys(id: &str, system: &[u8]) -> super::AuditKeys {
    let key = super::SecretKey::from_slice(system).unwrap();
    let keys = super::system_key::SystemKeys { keys: vec![(id.to_owned(), key)] };
    super::AuditKeys::new(&keys.derive(super::Subkey::Audit))
}

/// Gives out the byte strings it was told, in order.
pub(crate) struct FixedRng(Mutex<std::collections::VecDeque<Vec<u8>>>);

impl FixedRng {
    pub(crate) fn of(draws: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(Mutex::new(draws.into_iter().collect()))
    }
}

impl Rng for FixedRng {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.lock().unwrap().pop_front().expect("one more draw"));
    }
}
