//! Writes rows of the same size as the broker's through the very same ledger commit, but seals nothing: no JSON, no hash, no MAC.

use crate::Fault;
use broker::{
    domain::{
        Applied, Clock, Entry, EventDraft, EventId, EventKind, Group, Outcome, Rng, Rule, StreamId, Tagged,
        ledger::Head,
    },
    storage::{AuditRow, Ledger, LockMode, Seal, Store, StreamRow},
};
use std::{sync::Arc, time::Duration};

/// Writes one stream.
pub struct Pen {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    head: Head,
    seal: Copied,
}

impl Pen {
    /// Opens a stream in `store`; every row will be a copy of `row` but for its place and id.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: &Store,
        row: AuditRow,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, Fault> {
        let now = clock.now();
        let head = Head { stream: StreamId::opened_at(now, &*rng), seq: 0, hash: [0; 32] };
        let stream = StreamRow {
            head: head.clone(),
            mac: vec![0; 32],
            open: true,
            opened_at: now,
            heartbeat_at: now,
            silent_for: Duration::ZERO,
        };
        store.ledger.open_stream(&stream).await?;
        Ok(Self { ledger: Arc::clone(&store.ledger), clock, rng, head, seal: Copied(row) })
    }

    /// Commits `rows` rows. Answers the last one's id and place.
    ///
    /// # Errors
    /// The store's.
    pub async fn commit(&mut self, rows: usize) -> Result<(EventId, &Head), Fault> {
        let group = |_| {
            let id = EventId::random(&*self.rng);
            let draft = EventDraft::new(id, EventKind::GrantIssue, Outcome::Allowed);
            Group { entries: vec![Entry::note(draft)] }
        };
        let batch: Vec<Group> = (0..rows).map(group).collect();
        let now = self.clock.now();
        let done = self.ledger.commit(&self.head, 0, &batch, LockMode::Shared, now, &self.seal).await?;
        self.head = done.head;
        let last = batch.into_iter().next_back().and_then(|group| group.entries.into_iter().next_back());
        let last = last.ok_or("an empty batch")?;
        Ok((last.draft.id, &self.head))
    }
}

/// Numbers rows, and that is all.
struct Copied(AuditRow);

impl Seal for Copied {
    fn rows(&self, head: &Head, groups: &[Group], _applied: &[Vec<Applied>]) -> Vec<AuditRow> {
        let entries = groups.iter().flat_map(|group| &group.entries);
        let numbered = entries.zip(head.seq + 1..);
        numbered
            .map(|(entry, seq)| {
                let mut row = self.0.clone();
                row.stream = head.stream.clone();
                row.seq = seq;
                row.hash[..8].copy_from_slice(&seq.to_be_bytes());
                row.columns.id = entry.draft.id.clone();
                row
            })
            .collect()
    }

    fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>) {
        let last = rows.last().expect("a batch has rows");
        (Head { stream: last.stream.clone(), seq: last.seq, hash: last.hash }, vec![0; 32])
    }

    fn rule(&self, _rule: Rule) -> Tagged<Rule> {
        unreachable!("the floor makes no rules")
    }

    fn check_rules(&self, _rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>> {
        Some(Vec::new())
    }
}
