//! A ledger that tells other replicas what to look at again, once it is committed.

use super::{Changed, link::Link};
use crate::{
    domain::{Applied, ConsentId, Group, Rule, Tagged, Timestamp, Write, ledger::Head},
    storage::{Committed, Ledger, LockMode, Seal, Store, StoreError, StreamRow},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

struct Telling {
    inner: Arc<dyn Ledger>,
    link: Arc<Link>,
}

pub(super) fn telling(store: Store, link: Arc<Link>) -> Store {
    let ledger = Arc::new(Telling { inner: store.ledger.clone(), link });
    Store { ledger, ..store }
}

/// What somebody on another replica may wait for, or keep.
fn changed(write: &Write) -> Option<Changed> {
    match write {
        Write::InsertConsent { row, .. } | Write::UpdateConsent { row, .. } => {
            Some(Changed::Consent(row.stored_parts().0.id.clone()))
        }
        Write::SetAsideConsent(row) => row.id(ConsentId::parse).map(Changed::Consent),
        Write::PutSecret(row) => Some(Changed::Connection(row.stored_parts().0.connection.clone())),
        Write::DeleteSecrets(id) | Write::DeleteAccessTokens(id) => Some(Changed::Connection(id.clone())),
        Write::SettleLease(lease) => Some(Changed::Connection(lease.connection.clone())),
        Write::SupersedeLease { connection, .. } => Some(Changed::Connection(connection.clone())),
        _ => None,
    }
}

impl Telling {
    fn tell(&self, batch: &[Group], applied: &[Vec<Applied>]) {
        let entries = batch.iter().flat_map(|group| &group.entries).zip(applied.iter().flatten());
        let done = entries.filter(|(_, applied)| **applied == Applied::Yes);
        let mut said: Vec<Changed> = Vec::new();
        for changed in done.flat_map(|(entry, _)| &entry.effect).filter_map(changed) {
            if !said.contains(&changed) {
                said.push(changed.clone());
                self.link.say(changed);
            }
        }
    }
}

#[async_trait]
impl Ledger for Telling {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        let committed = self.inner.commit(head, known_epoch, batch, lock, now, seal).await?;
        self.tell(batch, &committed.applied);
        Ok(committed)
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        self.inner.open_stream(stream).await
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.inner.heartbeat()
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        self.inner.close_stream(head, mac).await
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        self.inner.streams().await
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        self.inner.rules_since(epoch).await
    }
}
