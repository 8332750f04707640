//! An entry that waits to be stored.

use super::{Inner, Record, SpoolError};
use std::sync::Arc;

/// An entry that waits to be stored.
pub struct Waiting {
    spool: Arc<Inner>,
    name: String,
    /// What is to be stored.
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
        self.spool.postpone(&self.name);
    }
}
