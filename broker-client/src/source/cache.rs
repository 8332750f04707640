//! Remembered grants: bounded in number, age and validity.

use super::key::Key;
use super::settings::Settings;
use crate::Grant;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
}

struct Entry {
    grant: Grant,
    /// Monotonic times.
    stored_at: Duration,
    stale_at: Duration,
    refresh_at: Duration,
}

/// A remembered grant, and whether it is time to fetch its successor.
pub(super) struct Hit {
    pub(super) grant: Grant,
    pub(super) refresh: bool,
}

impl Cache {
    /// The grant for `key`, unless it is too old, too near its end, or nothing is known.
    pub(super) fn get(
        &mut self,
        key: &Key,
        settings: &Settings,
        now: SystemTime,
        at: Duration,
    ) -> Option<Hit> {
        let entry = self.entries.get(key)?;
        if at >= entry.stale_at || left(&entry.grant, settings, now).is_zero() {
            self.entries.remove(key);
            return None;
        }
        Some(Hit { grant: entry.grant.clone(), refresh: at >= entry.refresh_at })
    }

    /// Remembers a grant, unless it ends within the margin.
    pub(super) fn put(&mut self, key: Key, grant: Grant, settings: &Settings, now: SystemTime, at: Duration) {
        let life = left(&grant, settings, now).min(settings.max_age);
        self.entries.remove(&key);
        if life.is_zero() || settings.max_entries == 0 {
            return;
        }
        self.make_room(settings, at);
        let refresh_at = at + life.saturating_sub(settings.early_refresh.min(life / 2));
        self.entries.insert(key, Entry { grant, stored_at: at, stale_at: at + life, refresh_at });
    }

    /// Leaves an entry alone for a while after its early refresh failed.
    pub(super) fn postpone(&mut self, key: &Key, until: Duration) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.refresh_at = until;
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Forgets every entry that holds this grant or its token; says which.
    pub(super) fn reject(&mut self, grant: &Grant) -> Vec<Key> {
        let held =
            |entry: &Entry| entry.grant.id == grant.id || entry.grant.access_token == grant.access_token;
        let keys: Vec<Key> =
            self.entries.iter().filter(|(_, entry)| held(entry)).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| self.remove(key));
        keys
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self, settings: &Settings, at: Duration) {
        if self.entries.len() < settings.max_entries {
            return;
        }
        self.entries.retain(|_, entry| at < entry.stale_at);
        while self.entries.len() >= settings.max_entries {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.stored_at).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }
}

/// How long the grant may still be handed out.
fn left(grant: &Grant, settings: &Settings, now: SystemTime) -> Duration {
    grant.expire_time.duration_since(now).unwrap_or_default().saturating_sub(settings.margin)
}
