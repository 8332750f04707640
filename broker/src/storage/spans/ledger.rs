//! Commits within spans: one for a batch, whoever's calls are in it.

use super::{
    super::{Committed, Ledger, LockMode, Seal, StoreError, StreamRow},
    Traced,
};
use crate::{
    domain::{Group, Rule, Tagged, Timestamp, ledger::Head},
    trace::{self, step},
};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Ledger for Traced<dyn Ledger> {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        let span = step!(
            "db",
            otel.name = "COMMIT audit_events",
            otel.kind = "client",
            db.system.name = self.system,
            db.operation.name = "COMMIT",
            db.collection.name = "audit_events",
            broker.audit.entries = batch.iter().map(|group| group.entries.len() as u64).sum::<u64>(),
            broker.audit.exclusive = lock == LockMode::Exclusive,
        );
        trace::within(span, self.inner.commit(head, known_epoch, batch, lock, now, seal)).await
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        self.traced("INSERT", "audit_streams", self.inner.open_stream(stream)).await
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.inner.heartbeat()
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        self.traced("UPDATE", "audit_streams", self.inner.close_stream(head, mac)).await
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        self.traced("SELECT", "audit_streams", self.inner.streams()).await
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        self.traced("SELECT", "revocations", self.inner.rules_since(epoch)).await
    }
}
