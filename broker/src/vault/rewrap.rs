//! Rotation: every sealed value of a tenant is wrapped by its newest key, while brokers serve (VA5).
//!
//! From sealed to sealed: data keys are unwrapped and wrapped again, and nothing is opened. It looks for what an older key wraps, so it may
//! be killed anywhere and run again. What it writes takes the place of exactly what it read; whoever wrote meanwhile has won.

use super::{VaultError, envelope::wrapping, sealing};
use crate::{
    crash::{CrashPoints, crash_point},
    domain::{Authority, Clock, Consent, Rng, RowKey, SecretRow, Tagged, TenantId},
    keys::{KeyError, KeyRing, TenantKeys},
    storage::{Replacement, Rewraps, StoreError, Uses},
};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// Most rows in one transaction.
const BATCH: u32 = 64;
/// So often a tenant is gone through, as long as something is left that could be wrapped anew.
const PASSES: u32 = 3;

/// Why it stopped. What was done until then stays done.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tenant's keys.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What was done for a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Tokens of connections, consents, people's keys.
    pub rows: Uses,
    /// Rows found in the last pass that were left as they are: they cannot be read, fail their integrity check, or do not unwrap.
    pub unusable: u64,
}

/// Wraps what is sealed with the newest keys.
pub struct Rewrap {
    store: Arc<dyn Rewraps>,
    keys: Arc<KeyRing>,
    rng: Arc<dyn Rng>,
    points: CrashPoints,
}

/// What one pass needs.
struct Pass<'a> {
    keys: &'a TenantKeys,
    rows: RowKey,
    pace: &'a mut Pace,
    done: &'a mut Rewrapped,
    progress: &'a mut (dyn FnMut(&Rewrapped) + Send),
}

impl Rewrap {
    /// Over a store and its keys; `points` is where it dies, in tests.
    pub fn new(store: Arc<dyn Rewraps>, keys: Arc<KeyRing>, rng: Arc<dyn Rng>, points: CrashPoints) -> Self {
        Self { store, keys, rng, points }
    }

    /// What each key of a tenant wraps, the newest first.
    ///
    /// # Errors
    /// [`RewrapError`].
    pub async fn uses(&self, tenant: &TenantId) -> Result<Vec<(String, Uses)>, RewrapError> {
        let keys = self.keys.reread_tenant_key(tenant).await?;
        let mut uses = Vec::new();
        for key in keys.ids() {
            uses.push((key.to_owned(), self.store.uses(key, &wrapping(key)).await?));
        }
        Ok(uses)
    }

    /// Wraps everything of a tenant with its newest key, telling `progress` after every batch. Others may work on any of it meanwhile.
    ///
    /// # Errors
    /// [`RewrapError`]: run it again.
    pub async fn tenant(
        &self,
        tenant: &TenantId,
        pace: &mut Pace,
        progress: &mut (dyn FnMut(&Rewrapped) + Send),
    ) -> Result<Rewrapped, RewrapError> {
        let mut done = Rewrapped::default();
        for _ in 0..PASSES {
            let keys = self.keys.reread_tenant_key(tenant).await?;
            done.unusable = 0;
            let rows = self.keys.row_key();
            let mut pass =
                Pass { keys: &keys, rows, pace: &mut *pace, done: &mut done, progress: &mut *progress };
            let mut left = 0;
            for old in keys.ids().skip(1) {
                self.tokens(old, &mut pass).await?;
                self.consents(old, &mut pass).await?;
                self.subject_keys(old, &mut pass).await?;
                left += self.store.uses(old, &wrapping(old)).await?.sum();
            }
            if left <= done.unusable {
                break;
            }
        }
        Ok(done)
    }

    async fn tokens(&self, old: &str, pass: &mut Pass<'_>) -> Result<(), RewrapError> {
        let (wrapping, mut after) = (wrapping(old), None);
        loop {
            let found = self.store.tokens(&wrapping, after.as_ref(), pass.pace.batch()).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.place.clone());
            let batch: Vec<_> = found.into_iter().filter_map(|found| self.token(found.row, pass)).collect();
            crash_point!(self.points, "rewrap.before_commit");
            let replaced = self.store.replace_tokens(&batch).await?;
            crash_point!(self.points, "rewrap.committed");
            pass.done.rows.tokens += replaced;
            pass.rest(batch.len()).await;
        }
    }

    fn token(&self, row: Option<Tagged<SecretRow>>, pass: &mut Pass<'_>) -> Option<Replacement<SecretRow>> {
        self.replacement(row, pass, |row, rewrap| {
            let envelope = rewrap(&row.envelope)?;
            Ok(SecretRow { envelope: envelope.into(), ..row })
        })
    }

    async fn consents(&self, old: &str, pass: &mut Pass<'_>) -> Result<(), RewrapError> {
        let (wrapping, mut after) = (wrapping(old), String::new());
        loop {
            let found = self.store.sealed_consents(&wrapping, &after, pass.pace.batch()).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after.clone_from(&last.place);
            let looked_at = found.len();
            for found in found {
                let to_do = self.replacement(found.row, pass, |row: Consent, rewrap| row.rewrapped(rewrap));
                let Some(replacement) = to_do else { continue };
                crash_point!(self.points, "rewrap.before_commit");
                let replaced = self.store.replace_consent(&replacement).await?;
                crash_point!(self.points, "rewrap.committed");
                pass.done.rows.consents += u64::from(replaced);
            }
            pass.rest(looked_at).await;
        }
    }

    async fn subject_keys(&self, old: &str, pass: &mut Pass<'_>) -> Result<(), RewrapError> {
        let mut after = String::new();
        loop {
            let found = self.store.subject_keys(old, &after, pass.pace.batch()).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &found {
                match self.keys.rewrap_subject_key(pass.keys, row).await {
                    Ok(replaced) => pass.done.rows.subject_keys += u64::from(replaced),
                    Err(error @ KeyError::Unavailable(_)) => return Err(error.into()),
                    Err(error) => pass.left_alone(&error),
                }
            }
            pass.rest(found.len()).await;
        }
    }

    /// The row with its sealed values wrapped anew and its tag made anew. Only a row that passes its check gets a new tag.
    fn replacement<T: Authority + Clone>(
        &self,
        row: Option<Tagged<T>>,
        pass: &mut Pass<'_>,
        anew: impl FnOnce(T, &dyn Fn(&[u8]) -> Result<Vec<u8>, VaultError>) -> Result<T, VaultError>,
    ) -> Option<Replacement<T>> {
        let Some(was) = row else {
            pass.left_alone(&"it cannot be read");
            return None;
        };
        let checked = match was.clone().check(&pass.rows) {
            Ok(row) => row,
            Err(error) => {
                pass.left_alone(&error);
                return None;
            }
        };
        match anew(checked, &|envelope| sealing::rewrap(pass.keys, &*self.rng, envelope)) {
            Ok(row) => Some(Replacement { becomes: pass.rows.tag(row), was }),
            Err(error) => {
                pass.left_alone(&error);
                None
            }
        }
    }
}

impl Pass<'_> {
    fn left_alone(&mut self, why: &dyn std::fmt::Display) {
        tracing::warn!(%why, "a row keeps the key that wraps it");
        self.done.unusable += 1;
    }

    async fn rest(&mut self, rows: usize) {
        (self.progress)(self.done);
        self.pace.rest(rows).await;
    }
}

/// How fast it goes.
pub struct Pace {
    clock: Arc<dyn Clock>,
    per_second: NonZeroU32,
    began: Duration,
    rows: u64,
}

impl Pace {
    /// So many rows a second at most, counted from now.
    pub fn new(clock: Arc<dyn Clock>, per_second: NonZeroU32) -> Self {
        let began = clock.monotonic();
        Self { clock, per_second, began, rows: 0 }
    }

    /// Not more at once than a second's share.
    fn batch(&self) -> u32 {
        self.per_second.get().min(BATCH)
    }

    async fn rest(&mut self, rows: usize) {
        self.rows += rows as u64;
        tokio::time::sleep(self.due().saturating_sub(self.clock.monotonic())).await;
    }

    /// When so many rows may be done, on the monotonic clock.
    fn due(&self) -> Duration {
        self.began + Duration::from_secs_f64(self.rows as f64 / f64::from(self.per_second.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ManualClock, SystemRng, Timestamp},
        keys::random_key_id,
    };

    /// Proves: VA5
    #[test]
    fn va5_a_pace_is_kept_on_the_whole() {
        let clock = || Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let mut pace = Pace::new(clock(), NonZeroU32::new(50).unwrap());
        assert_eq!(pace.batch(), 50);
        pace.rows = 125;
        assert_eq!(pace.due() - pace.began, Duration::from_millis(2500));
        assert_eq!(Pace::new(clock(), NonZeroU32::MAX).batch(), BATCH);
    }

    /// The store finds an envelope by its first 32 bytes.
    #[test]
    fn what_an_envelope_of_a_key_begins_with_has_the_length_of_the_index() {
        assert_eq!(wrapping(&random_key_id(&SystemRng::default())).len(), 32);
    }
}
