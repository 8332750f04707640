//! Room for one entry, taken before the provider is asked.

use super::{Inner, Record, SpoolError};
use std::sync::Arc;

/// Room for one entry. Dropped before anything was kept, it is given back; afterwards the entry stays and is stored by whoever drains
/// the spool.
pub struct Slot(Option<Held>);

struct Held {
    spool: Arc<Inner>,
    name: String,
    kept: bool,
}

impl Slot {
    /// Where there is no spool.
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(spool: Arc<Inner>, name: String) -> Self {
        Self(Some(Held { spool, name, kept: false }))
    }

    /// Whether an entry is kept here.
    pub fn is_kept(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.kept)
    }

    /// Writes the entry, or in place of what was kept here before; on disk when this returns.
    ///
    /// # Errors
    /// [`SpoolError`]; what was kept before is still there.
    pub async fn keep(&mut self, record: &Record) -> Result<(), SpoolError> {
        let Some(held) = &mut self.0 else { return Ok(()) };
        let sealed = held.spool.seal(&held.name, record);
        let (directory, name) = (held.spool.directory.clone(), held.name.clone());
        let written = tokio::task::spawn_blocking(move || directory.keep(&name, &sealed)).await;
        written.map_err(SpoolError::task)??;
        held.kept = true;
        Ok(())
    }

    /// What was kept here is stored: it goes. An entry that cannot be removed is found to be stored by the next who reads it.
    pub async fn discharge(mut self) {
        let Some(held) = self.0.take() else { return };
        let Held { spool, name, .. } = held;
        let (directory, removed) = (spool.directory.clone(), name.clone());
        let done = tokio::task::spawn_blocking(move || directory.remove(&removed)).await;
        if !matches!(done, Ok(Ok(()))) {
            tracing::warn!("an entry of the spool that is stored could not be removed");
        }
        spool.forget(&name);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(held) = self.0.take() else { return };
        if !held.kept {
            held.spool.directory.give_back(&held.name);
        }
        held.spool.release(&held.name);
    }
}
