//! The spool: what a provider gave and the database cannot take right now, encrypted on disk until it can (RF5).
//!
//! A provider that replaces refresh tokens has forgotten the old one when it answers. So room for the new one is taken before it is
//! asked, and the answer is written here first, then to the database; once it is there, the entry goes. What is left behind by a crash
//! or by a database that is away is stored by whoever owns the volume, at its start and all the time.

mod directory;
mod entry;
mod record;
mod slot;

#[cfg(test)]
mod tests;

pub use directory::SpoolError;
pub use entry::Waiting;
pub use record::{Ending, Exchanged, Party, Record, Refreshed, Token};
pub use slot::Slot;

use crate::{
    config::SpoolSettings,
    domain::{Canonical, Clock, ConnectionId, Rng},
    keys::KeyRing,
};
use directory::Directory;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// One process's part of the spool. Clones are the same one.
#[derive(Clone)]
pub struct Spool(Option<Arc<Inner>>);

struct Inner {
    directory: Directory,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Names of entries that somebody in this process is still at.
    held: Mutex<BTreeSet<String>>,
    /// Those that could not be done: when to try again on the monotonic clock, and how often it was tried.
    later: Mutex<HashMap<String, (Duration, u32)>>,
    /// Those that are found to be nobody's: their provider is to be told.
    unowned: Mutex<BTreeSet<String>>,
}

/// Between two tries of one entry: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest between two tries of one entry at its provider: each is on record, for as long as a week.
const LONGEST_PAUSE_AT_PROVIDER: Duration = Duration::from_secs(3600);

impl Spool {
    /// No spool: whatever cannot be stored is lost.
    pub fn off() -> Self {
        Self(None)
    }

    /// Opens this process's part of the directory, and takes over what processes that are gone left there.
    ///
    /// # Errors
    /// [`SpoolError`] when it cannot be written.
    pub async fn open(
        settings: &SpoolSettings,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, SpoolError> {
        let Some(path) = settings.directory.clone() else { return Ok(Self::off()) };
        let bounds = (settings.max_entries, settings.max_bytes);
        let name = random_name(&*rng);
        let opened = tokio::task::spawn_blocking(move || Directory::open(&path, &name, bounds)).await;
        let directory = opened.map_err(SpoolError::task)??;
        let (held, later, unowned) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self(Some(Arc::new(Inner { directory, keys, clock, rng, held, later, unowned }))))
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes room for one entry. Before the provider is asked: where there is none, it is not asked.
    ///
    /// # Errors
    /// [`SpoolError`]: the spool is full or cannot be written.
    pub async fn reserve(&self) -> Result<Slot, SpoolError> {
        let Some(inner) = &self.0 else { return Ok(Slot::none()) };
        let name = random_name(&*inner.rng);
        let (reserving, reserved) = (inner.directory.clone(), name.clone());
        tokio::task::spawn_blocking(move || reserving.reserve(&reserved))
            .await
            .map_err(SpoolError::task)??;
        lock(&inner.held).insert(name.clone());
        Ok(Slot::of(Arc::clone(inner), name))
    }

    /// Entries to be stored that nobody in this process is at and whose turn it is, oldest first. What processes that are gone left is
    /// taken over first. An entry that does not open is kept and left out.
    ///
    /// # Errors
    /// [`SpoolError`] when the directory cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, SpoolError> {
        self.due(|inner, name| !lock(&inner.unowned).contains(name)).await
    }

    /// Entries to be given back ([`Waiting::give_back`]) whose turn it is, oldest first.
    ///
    /// # Errors
    /// [`SpoolError`] when the directory cannot be read.
    pub async fn unowned(&self) -> Result<Vec<Waiting>, SpoolError> {
        let due =
            self.0.as_ref().is_some_and(|inner| lock(&inner.unowned).iter().any(|name| inner.is_due(name)));
        if !due {
            return Ok(Vec::new());
        }
        self.due(|inner, name| lock(&inner.unowned).contains(name)).await
    }

    async fn due(&self, wanted: impl Fn(&Inner, &str) -> bool) -> Result<Vec<Waiting>, SpoolError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let mut waiting = Vec::new();
        let due = |name: &str| wanted(inner, name) && inner.is_due(name);
        for (name, sealed) in inner.entries().await?.into_iter().filter(|(name, _)| due(name)) {
            match inner.open(&name, &sealed) {
                Some(record) => waiting.push(Waiting::new(Arc::clone(inner), name, record)),
                None => {
                    inner.postpone(&name, LONGEST_PAUSE);
                    tracing::error!(
                        "an entry of the spool does not open: its key is another, or it was changed; it is kept"
                    );
                }
            }
        }
        Ok(waiting)
    }

    /// Whether what came for the refresh token of this generation is kept here and not stored yet: the token must not be sent again.
    ///
    /// # Errors
    /// [`SpoolError`] when the directory cannot be read.
    pub async fn keeps_answer_to(&self, connection: &ConnectionId, sent: i64) -> Result<bool, SpoolError> {
        let Some(inner) = &self.0 else { return Ok(false) };
        let entries = inner.entries().await?;
        let mut records = entries.iter().filter_map(|(name, sealed)| inner.open(name, sealed));
        Ok(records.any(|record| {
            matches!(record, Record::Refresh(kept)
                if kept.connection == connection.as_str() && kept.sent == sent && !kept.outlived)
        }))
    }

    /// How many entries there are in this process's part, those included that a call under way is about to store.
    ///
    /// # Errors
    /// [`SpoolError`] when the directory cannot be read.
    pub async fn count(&self) -> Result<usize, SpoolError> {
        let Some(inner) = &self.0 else { return Ok(0) };
        let directory = inner.directory.clone();
        tokio::task::spawn_blocking(move || directory.count()).await.map_err(SpoolError::task)?
    }
}

impl Inner {
    /// Every entry by its name, still sealed; oldest first.
    async fn entries(&self) -> Result<Vec<(String, Vec<u8>)>, SpoolError> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || directory.entries()).await.map_err(SpoolError::task)?
    }

    /// `None` = it does not open, or is no record.
    fn open(&self, name: &str, sealed: &[u8]) -> Option<Record> {
        let plain = self.keys.spool().open(&aad(name), sealed).ok()?;
        Record::read(&plain)
    }

    fn seal(&self, name: &str, record: &Record) -> Vec<u8> {
        self.keys.spool().seal(&*self.rng, &aad(name), &record.bytes())
    }

    fn release(&self, name: &str) {
        lock(&self.held).remove(name);
    }

    /// Nobody in this process is at it, and its pause is over.
    fn is_due(&self, name: &str) -> bool {
        let now = self.clock.monotonic();
        !lock(&self.held).contains(name) && lock(&self.later).get(name).is_none_or(|(at, _)| *at <= now)
    }

    fn postpone(&self, name: &str, longest: Duration) {
        let now = self.clock.monotonic();
        let mut later = lock(&self.later);
        let tries = later.get(name).map_or(0, |(_, tries)| *tries);
        let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(12)).min(longest);
        later.insert(name.to_owned(), (now + pause, tries.saturating_add(1)));
    }

    /// No longer each time: what keeps everything from being stored says nothing about this entry.
    fn postpone_briefly(&self, name: &str) {
        let at = self.clock.monotonic() + FIRST_PAUSE;
        let mut later = lock(&self.later);
        let tries = later.get(name).map_or(0, |(_, tries)| *tries);
        later.insert(name.to_owned(), (at, tries));
    }

    fn give_back(&self, name: String) {
        lock(&self.later).remove(&name);
        lock(&self.unowned).insert(name);
    }

    fn forget(&self, name: &str) {
        lock(&self.unowned).remove(name);
        lock(&self.later).remove(name);
        lock(&self.held).remove(name);
    }
}

/// An entry opens under its own name only.
fn aad(name: &str) -> Canonical {
    let mut aad = Canonical::new("broker.v1 spool entry");
    aad.text(name);
    aad
}

fn random_name(rng: &dyn Rng) -> String {
    let mut bytes = [0; 12];
    rng.fill(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
