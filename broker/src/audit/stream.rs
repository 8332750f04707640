//! Opening a stream, and ending those whose writers died.
//!
//! Only one process writes (the embedded default), so every stream that is open at start is a dead one. With
//! replicas, a stream is dead only when its heartbeat (written by each commit) is stale on database time.

use super::{
    chain::{StreamState, empty_head, head_mac},
    continuity::RULES_BEFORE,
    log::AuditError,
    prepare::Prepared,
    seal::BatchSeal,
};
use crate::{
    domain::{
        Clock, Entry, EventDraft, EventId, EventKind, Group, Outcome, Rng, RowKey, Rule, StreamId,
        ledger::Head,
    },
    keys::AuditKeys,
    storage::{Ledger, LockMode, StoreError, StreamRow},
};
use std::{sync::Arc, time::Duration};

/// What the writer and the opening of streams share.
pub(super) struct Context {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) audit: AuditKeys,
    pub(super) rows: RowKey,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) commit_timeout: Duration,
}

/// A stream that has its first event.
pub(super) struct Opened {
    pub(super) head: Head,
    pub(super) new_rules: Vec<Rule>,
}

impl Context {
    /// Opens a stream, ends every other open one, and says both in the new stream's first commit.
    ///
    /// A crash in between leaves a stream without events; its successor then repeats what it left unsaid, so that
    /// each dead stream gets exactly one `stream.recovered`.
    pub(super) async fn succeed(&self, known_epoch: i64) -> Result<Opened, AuditError> {
        let streams = self.ledger.streams().await?;
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
        };
        self.ledger.open_stream(&row).await?;
        let mut entries = vec![self.opened_entry(streams.last(), known_epoch)];
        for dead in self.end_dead(&streams).await? {
            entries.push(self.recovered_entry(&dead));
        }
        self.first_commit(head, entries, known_epoch).await
    }

    async fn first_commit(
        &self,
        head: Head,
        entries: Vec<Entry>,
        known_epoch: i64,
    ) -> Result<Opened, AuditError> {
        let prepared = [vec![Prepared::default(); entries.len()]];
        let seal = BatchSeal::new(&self.audit, &self.rows, self.clock.now(), &prepared);
        let batch = [Group { entries }];
        let now = self.clock.now();
        let committed = self.ledger.commit(&head, known_epoch, &batch, LockMode::Shared, now, &seal).await?;
        Ok(Opened { head: committed.head, new_rules: committed.new_rules })
    }

    /// Ends open streams by compare-and-set; returns the heads that still have to be recorded.
    async fn end_dead(&self, streams: &[StreamRow]) -> Result<Vec<Head>, AuditError> {
        let mut unsaid = Vec::new();
        for (index, dead) in streams.iter().enumerate().filter(|(_, s)| s.open) {
            // A head without a good MAC is never signed anew: that would make a truncation look honest.
            if self.vouched(dead) != Some(StreamState::Open) {
                return Err(AuditError::StreamTampered(dead.head.stream.clone()));
            }
            let mac = head_mac(&self.audit, &dead.head, StreamState::Recovered);
            if !self.ledger.close_stream(&dead.head, &mac).await? {
                return Err(AuditError::Store(StoreError::HeadMoved));
            }
            if dead.head.seq == 0 {
                self.left_unsaid(&streams[..index], &mut unsaid)?;
            }
            unsaid.push(dead.head.clone());
        }
        Ok(unsaid)
    }

    /// What a writer that died before its first event had already ended: the streams just before its own.
    fn left_unsaid(&self, older: &[StreamRow], unsaid: &mut Vec<Head>) -> Result<(), AuditError> {
        for stream in older.iter().rev() {
            if !stream.open {
                match self.vouched(stream) {
                    Some(StreamState::Recovered) if !unsaid.contains(&stream.head) => {
                        unsaid.push(stream.head.clone());
                    }
                    Some(_) => return Ok(()),
                    None => return Err(AuditError::StreamTampered(stream.head.stream.clone())),
                }
            }
            if stream.head.seq > 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn vouched(&self, stream: &StreamRow) -> Option<StreamState> {
        StreamState::vouched(&self.audit, &stream.head, &stream.mac)
    }

    fn opened_entry(&self, predecessor: Option<&StreamRow>, rules: i64) -> Entry {
        let mut draft = self.own_event(EventKind::StreamOpened);
        if rules > 0 {
            draft.detail.insert(RULES_BEFORE, rules.into());
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
