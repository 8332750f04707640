//! Opening a stream, and ending those whose writers died.
//!
//! A stream is dead when its writer's last sign of life, which every commit is, is too old on the database's clock.
//! Where only one process writes (the embedded default) every other stream is.

use super::{
    chain::{StreamState, empty_head, head_mac},
    continuity::{PASSING, RULES_BEFORE},
    log::AuditError,
    prepare::Prepared,
    seal::{BatchSeal, truth},
};
use crate::{
    crash::CrashPoints,
    domain::{
        Applied, Clock, Entry, EventDraft, EventId, EventKind, Group, Outcome, Rng, RowKey, Rule, StreamId,
        Timestamp, Write, ledger::Head,
    },
    keys::{AuditKeys, KeyRing},
    metrics::Metrics,
    storage::{Committed, Ledger, LockMode, StoreError, StreamRow},
};
use std::{sync::Arc, time::Duration};

/// A writer that was silent for this long is dead. Far longer than it may pause inside a commit before the database ends
/// that, and several heartbeats.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(30);

/// What the writer and the opening of streams share.
pub(super) struct Context {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) audit: AuditKeys,
    pub(super) rows: RowKey,
    pub(super) keys: Arc<KeyRing>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) commit_timeout: Duration,
    pub(super) metrics: Metrics,
    pub(super) passing: bool,
    pub(super) points: CrashPoints,
}

/// What is done about streams whose writers died.
pub(super) struct Recoveries {
    /// One for each that can be ended.
    pub(super) groups: Vec<Group>,
    /// Those whose head has no good MAC. They are never signed anew, which would make a truncation look honest: `verify` finds them
    /// as they are.
    pub(super) tampered: Vec<StreamId>,
}

impl Recoveries {
    /// What can be done while a healthy writer goes on: one edited head must not keep every replica from writing.
    pub(super) fn while_running(self) -> Vec<Group> {
        for stream in &self.tampered {
            tracing::error!(%stream, "a dead audit stream's head was edited; it is left as it is, for `broker audit verify`");
        }
        self.groups
    }

    /// What is done at a process's start, where an operator is there to look.
    ///
    /// # Errors
    /// [`AuditError::StreamTampered`].
    pub(super) fn at_start(self) -> Result<Vec<Group>, AuditError> {
        match self.tampered.into_iter().next() {
            Some(stream) => Err(AuditError::StreamTampered(stream)),
            None => Ok(self.groups),
        }
    }
}

/// A stream that has its first event.
pub(super) struct Opened {
    pub(super) head: Head,
    pub(super) opened_at: Timestamp,
    pub(super) new_rules: Vec<Rule>,
}

impl Context {
    /// Opens a stream, ends those of dead writers, and says both in the new stream's first commit.
    ///
    /// Ending a stream is an effect of the entry that records it, so each dead stream gets exactly one such record,
    /// whoever dies at whatever moment.
    ///
    /// # Errors
    /// [`AuditError::StreamTampered`]: nothing is opened. Storage's.
    pub(super) async fn start(&self, known_epoch: i64) -> Result<Opened, AuditError> {
        let streams = self.ledger.streams().await?;
        let recoveries = self.recoveries(&streams).at_start()?;
        Ok(self.open(&streams, recoveries, known_epoch).await?)
    }

    /// The same for a process that runs already: a dead stream with an edited head is left as it is.
    ///
    /// # Errors
    /// Storage's.
    pub(super) async fn succeed(&self, known_epoch: i64) -> Result<Opened, StoreError> {
        let streams = self.ledger.streams().await?;
        let recoveries = self.recoveries(&streams).while_running();
        self.open(&streams, recoveries, known_epoch).await
    }

    async fn open(
        &self,
        streams: &[StreamRow],
        recoveries: Vec<Group>,
        known_epoch: i64,
    ) -> Result<Opened, StoreError> {
        let now = self.clock.now();
        let after_last = streams.last().map(|s| s.opened_at.plus(Duration::from_micros(1)));
        let opened_at = after_last.map_or(now, |last| last.max(now));
        let head = empty_head(StreamId::opened_at(opened_at, &*self.rng));
        let row = StreamRow {
            mac: head_mac(&self.audit, &head, StreamState::Open),
            head: head.clone(),
            open: true,
            opened_at,
            heartbeat_at: now,
            silent_for: Duration::ZERO,
        };
        self.ledger.open_stream(&row).await?;
        let mut batch = vec![Group { entries: vec![self.opened_entry(streams.last(), known_epoch)] }];
        batch.extend(recoveries);
        let committed = self.first_commit(&head, batch, known_epoch).await?;
        Ok(Opened { head: committed.head, opened_at, new_rules: committed.new_rules })
    }

    async fn first_commit(
        &self,
        head: &Head,
        batch: Vec<Group>,
        known_epoch: i64,
    ) -> Result<Committed, StoreError> {
        let prepared = vec![vec![Prepared::default()]; batch.len()];
        let seal = BatchSeal::new(&self.audit, &self.rows, self.clock.now(), &prepared);
        let now = self.clock.now();
        let committed = self.ledger.commit(head, known_epoch, &batch, LockMode::Shared, now, &seal).await?;
        self.count(&batch, &committed.applied);
        Ok(committed)
    }

    /// Counts what is committed as its rows say it, which is not always what was drafted.
    pub(super) fn count(&self, groups: &[Group], applied: &[Vec<Applied>]) {
        for (group, applied) in groups.iter().zip(applied) {
            for (entry, applied) in group.entries.iter().zip(applied) {
                match applied {
                    Applied::Yes => self.metrics.event(&entry.draft),
                    other => self.metrics.event(&truth(entry, other)),
                }
            }
        }
    }

    /// One group for each open stream whose writer gave no sign of life for [`DEAD_AFTER`]: it ends the stream and
    /// records it. Where another replica was faster the group does not apply, and says so.
    pub(super) fn recoveries(&self, streams: &[StreamRow]) -> Recoveries {
        let dead = streams.iter().filter(|stream| stream.open && stream.silent_for >= DEAD_AFTER);
        let (sound, edited): (Vec<_>, Vec<_>) =
            dead.partition(|stream| self.vouched(stream) == Some(StreamState::Open));
        let groups = sound.into_iter().map(|stream| {
            let mac = head_mac(&self.audit, &stream.head, StreamState::Recovered);
            let effect = vec![Write::EndStream { head: stream.head.clone(), mac }];
            Group { entries: vec![Entry { effect, ..self.recovered_entry(&stream.head) }] }
        });
        let tampered = edited.into_iter().map(|stream| stream.head.stream.clone()).collect();
        Recoveries { groups: groups.collect(), tampered }
    }

    fn vouched(&self, stream: &StreamRow) -> Option<StreamState> {
        StreamState::vouched(&self.audit, &stream.head, &stream.mac)
    }

    fn opened_entry(&self, predecessor: Option<&StreamRow>, rules: i64) -> Entry {
        let mut draft = self.own_event(EventKind::StreamOpened);
        if rules > 0 {
            draft.detail.insert(RULES_BEFORE, rules.into());
        }
        if self.passing {
            draft.detail.insert(PASSING, true.into());
        }
        if let Some(predecessor) = predecessor {
            draft.detail.insert("predecessor", predecessor.head.stream.as_str().into());
        }
        Entry::note(draft)
    }

    fn recovered_entry(&self, dead: &Head) -> Entry {
        let mut draft = self.own_event(EventKind::StreamRecovered);
        draft.detail.insert("stream", dead.stream.as_str().into());
        draft.detail.insert("last_seq", dead.seq.into());
        draft.detail.insert("head_hash", data_encoding::HEXLOWER.encode(&dead.hash).into());
        Entry::note(draft)
    }

    pub(super) fn own_event(&self, kind: EventKind) -> EventDraft {
        EventDraft::new(EventId::random(&*self.rng), kind, Outcome::Allowed)
    }
}
