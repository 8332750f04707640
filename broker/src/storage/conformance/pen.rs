//! A writer with a stream of its own, as the audit room would hold one.

use super::{Fixture, samples, seal::PlainSeal};
use crate::{
    domain::{Applied, Authority, Entry, Group, StreamId, Tagged, Timestamp, Write, ledger::Head},
    storage::{Committed, LockMode, StoreError, StreamRow},
};
use std::time::Duration;

pub(crate) struct Pen<'f> {
    pub(crate) fixture: &'f Fixture,
    pub(crate) head: Head,
    pub(crate) epoch: i64,
    pub(crate) now: Timestamp,
    pub(crate) seal: PlainSeal,
}

impl<'f> Pen<'f> {
    /// Opens a stream.
    pub(crate) async fn open(fixture: &'f Fixture) -> Self {
        let now = samples::NOW;
        let stream = StreamId::opened_at(now, &samples::rng());
        let head = Head { stream, seq: 0, hash: [0; 32] };
        fixture.ledger.open_stream(&stream_row(&head, now)).await.unwrap();
        Self { fixture, head, epoch: 0, now, seal: PlainSeal::default() }
    }

    pub(crate) fn tag<T: Authority>(&self, row: T) -> Tagged<T> {
        self.seal.key.tag(row)
    }

    /// Commits and moves on.
    pub(crate) async fn commit(&mut self, batch: &[Group]) -> Result<Committed, StoreError> {
        let (ledger, mode) = (&self.fixture.ledger, LockMode::Shared);
        let done = ledger.commit(&self.head, self.epoch, batch, mode, self.now, &self.seal).await?;
        self.head = done.head.clone();
        self.epoch = done.new_rules.last().map_or(self.epoch, |rule| rule.epoch);
        Ok(done)
    }

    /// Commits one entry that relies on nothing and says what became of it.
    pub(crate) async fn write(&mut self, effect: Vec<Write>) -> Applied {
        self.entry(Entry { effect, ..samples::note() }).await
    }

    /// Commits one entry alone.
    pub(crate) async fn entry(&mut self, entry: Entry) -> Applied {
        let done = self.commit(&[Group { entries: vec![entry] }]).await.unwrap();
        done.applied[0][0].clone()
    }
}

pub(crate) fn stream_row(head: &Head, now: Timestamp) -> StreamRow {
    StreamRow {
        head: head.clone(),
        mac: vec![1; 32],
        open: true,
        opened_at: now,
        heartbeat_at: now,
        silent_for: Duration::ZERO,
    }
}
