//! An entry that waits to be stored, or to be given back to its provider.

use super::{Inner, LONGEST_PAUSE, LONGEST_PAUSE_AT_PROVIDER, Record, SpoolError};
use std::sync::Arc;

/// An entry that waits to be stored, or to be given back to its provider.
pub struct Waiting {
    spool: Arc<Inner>,
    name: String,
    /// What it holds.
    pub record: Record,
}

impl Waiting {
    pub(super) fn new(spool: Arc<Inner>, name: String, record: Record) -> Self {
        Self { spool, name, record }
    }

    /// It is stored, or nothing can come of it any more: it goes.
    pub async fn done(self) {
        let (directory, name) = (self.spool.directory.clone(), self.name.clone());
        let removed = tokio::task::spawn_blocking(move || directory.remove(&name)).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!("an entry of the spool that is stored could not be removed");
        }
        self.spool.forget(&self.name);
    }

    /// Something more is known of it: written in its place, on disk when this returns.
    ///
    /// # Errors
    /// [`SpoolError`]; the entry is as it was.
    pub async fn amend(&mut self, record: Record) -> Result<(), SpoolError> {
        let sealed = self.spool.seal(&self.name, &record);
        let (directory, name) = (self.spool.directory.clone(), self.name.clone());
        tokio::task::spawn_blocking(move || directory.keep(&name, &sealed))
            .await
            .map_err(SpoolError::task)??;
        self.record = record;
        Ok(())
    }

    /// It could not be stored: it is tried again after a while, which doubles up to a minute.
    pub fn later(self) {
        self.spool.postpone(&self.name, LONGEST_PAUSE);
    }

    /// Nothing could be stored at all: it is tried again within seconds, however long that has been so.
    pub fn soon(self) {
        self.spool.postpone_briefly(&self.name);
    }

    /// The provider could not be told: it is told again after a while, which doubles up to an hour.
    pub fn told_later(self) {
        self.spool.postpone(&self.name, LONGEST_PAUSE_AT_PROVIDER);
    }

    /// It cannot be stored any more: from now on, and in this process, it is among those to be given back.
    pub fn give_back(self) {
        self.spool.give_back(self.name);
    }
}
