//! Walks the log and names the first row that is not as it was written.
//!
//! Finds edits, deletions, insertions, reordering, truncation of a stream, a removed stream that a later one names,
//! and forks, as far as the MAC keys were not stolen. What it cannot see without a checkpoint kept elsewhere: the
//! newest streams removed whole, and the database put back to an earlier true state.

use super::{
    chain::{GENESIS, StreamState, event_hash},
    recorded::Recorded,
};
use crate::{
    domain::{EventKind, Outcome, StreamId},
    keys::AuditKeys,
    storage::{AuditLog, AuditRow, Ledger, StoreError, StreamRow},
};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: u32 = 1000;

/// What is wrong with a row or a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The number after the one before is missing.
    #[error("an event is missing, or was put in")]
    Gap,
    /// The hash it stands on is not its predecessor's.
    #[error("it does not follow the event before it")]
    Previous,
    /// Its bytes are not those that were hashed.
    #[error("its bytes were changed")]
    Hash,
    /// Its MAC is wrong, or by an unknown key.
    #[error("its MAC is wrong, or its key is not known here")]
    Mac,
    /// Its bytes are not an event of a known version.
    #[error("it is not an event of a known version")]
    Body,
    /// A column does not say what its bytes say.
    #[error("its column {0} differs from its bytes")]
    Column(&'static str),
    /// The stream's head row was edited.
    #[error("the stream's head row was changed")]
    Head,
    /// The stream does not end where its head says.
    #[error("the stream does not end where its head says")]
    End,
    /// It does not begin with `stream.opened`.
    #[error("the stream does not begin with stream.opened")]
    Opening,
    /// A stream that was closed does not end with `stream.closed`, or goes on after it.
    #[error("the stream was closed but does not say so as its last event")]
    Closing,
    /// A dead stream has not exactly one recovery record that names its end.
    #[error("the dead stream has not exactly one recovery record that names its end")]
    Recovery,
    /// The stream it names as its predecessor is gone.
    #[error("the stream it names as its predecessor is gone")]
    Predecessor,
    /// An event id is there twice.
    #[error("its event id is there twice")]
    Twice,
    /// A recovery record names a stream that is not here or was not recovered.
    #[error("it records the recovery of a stream that was not recovered")]
    Unrecovered,
}

/// The first row that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("audit stream {stream}, event {seq}: {fault}")]
pub struct BadRow {
    /// The stream.
    pub stream: StreamId,
    /// The event; 0 = the stream itself.
    pub seq: i64,
    /// What is wrong.
    pub fault: Fault,
}

/// Why the log was not found to be good.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It was changed.
    #[error(transparent)]
    Bad(#[from] BadRow),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was walked.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Streams.
    pub streams: u64,
    /// Events.
    pub events: u64,
    /// Streams still open: their last events may be newer than this walk.
    pub open: u64,
    /// Streams whose writers died.
    pub recovered: u64,
}

/// Walks every stream; `progress` is called after every page.
///
/// # Errors
/// [`VerifyError::Bad`] for the first bad row, [`VerifyError::Store`] when reading fails.
pub async fn verify(
    ledger: &dyn Ledger,
    log: &dyn AuditLog,
    keys: &AuditKeys,
    progress: &mut (dyn FnMut(&Verified) + Send),
) -> Result<Verified, VerifyError> {
    let streams = ledger.streams().await?;
    let mut walk = Walk::new(keys, &streams);
    for stream in &streams {
        walk.stream(stream, log, progress).await?;
    }
    walk.succession(&streams, &ledger.streams().await?)?;
    Ok(walk.so_far)
}

/// What the events said about streams, to be held against the stream rows at the end.
struct Walk<'a> {
    keys: &'a AuditKeys,
    known: BTreeSet<&'a StreamId>,
    so_far: Verified,
    ids: BTreeSet<String>,
    /// Per dead stream: how often its recovery is recorded, where first, and with which end.
    recoveries: BTreeMap<String, Vec<(StreamId, i64, Recorded)>>,
}

/// Where a walk through one stream stands.
struct Place {
    seq: i64,
    hash: [u8; 32],
    last_kind: String,
}

impl<'a> Walk<'a> {
    fn new(keys: &'a AuditKeys, streams: &'a [StreamRow]) -> Self {
        Self {
            keys,
            known: streams.iter().map(|s| &s.head.stream).collect(),
            so_far: Verified::default(),
            ids: BTreeSet::new(),
            recoveries: BTreeMap::new(),
        }
    }

    async fn stream(
        &mut self,
        row: &StreamRow,
        log: &dyn AuditLog,
        progress: &mut (dyn FnMut(&Verified) + Send),
    ) -> Result<(), VerifyError> {
        let state = self.state(row)?;
        let mut place = Place { seq: 0, hash: GENESIS, last_kind: String::new() };
        let mut head_seen = row.head.seq == 0;
        loop {
            let page = log.scan(&row.head.stream, place.seq, PAGE).await?;
            let last_page = page.len() < PAGE as usize;
            for event in &page {
                self.event(&row.head.stream, &mut place, event)?;
                if event.seq == row.head.seq {
                    if event.hash != row.head.hash {
                        return Err(bad(&row.head.stream, event.seq, Fault::End).into());
                    }
                    head_seen = true;
                }
            }
            progress(&self.so_far);
            if last_page {
                break;
            }
        }
        // An open stream may have grown since its head was read; an ended one may not.
        if !head_seen || (state != StreamState::Open && place.seq != row.head.seq) {
            return Err(bad(&row.head.stream, place.seq, Fault::End).into());
        }
        if state == StreamState::Closed && place.last_kind != EventKind::StreamClosed.as_str() {
            return Err(bad(&row.head.stream, place.seq, Fault::Closing).into());
        }
        self.so_far.streams += 1;
        self.so_far.open += u64::from(state == StreamState::Open);
        self.so_far.recovered += u64::from(state == StreamState::Recovered);
        Ok(())
    }

    fn state(&self, row: &StreamRow) -> Result<StreamState, BadRow> {
        let state = StreamState::vouched(self.keys, &row.head, &row.mac);
        state
            .filter(|state| row.open == (*state == StreamState::Open))
            .filter(|_| row.head.seq > 0 || row.head.hash == GENESIS)
            .ok_or_else(|| bad(&row.head.stream, 0, Fault::Head))
    }

    fn event(&mut self, stream: &StreamId, place: &mut Place, row: &AuditRow) -> Result<(), BadRow> {
        let recorded = check_row(self.keys, stream, place, row).map_err(|f| bad(stream, place.seq + 1, f))?;
        let opening = row.columns.kind == EventKind::StreamOpened.as_str();
        if opening != (row.seq == 1) {
            return Err(bad(stream, row.seq, Fault::Opening));
        }
        if place.last_kind == EventKind::StreamClosed.as_str() {
            return Err(bad(stream, row.seq, Fault::Closing));
        }
        if !self.ids.insert(row.columns.id.as_str().to_owned()) {
            return Err(bad(stream, row.seq, Fault::Twice));
        }
        if opening && let Some(predecessor) = recorded.detail("predecessor") {
            let known = StreamId::parse(predecessor).is_ok_and(|id| self.known.contains(&id));
            if !known {
                return Err(bad(stream, row.seq, Fault::Predecessor));
            }
        }
        place.seq = row.seq;
        place.hash = row.hash;
        place.last_kind.clone_from(&row.columns.kind);
        self.so_far.events += 1;
        // One that did not apply ended nothing: another replica was faster.
        let applied = row.columns.outcome == Outcome::Allowed.as_str();
        if applied && row.columns.kind == EventKind::StreamRecovered.as_str() {
            let of = recorded.detail("stream").unwrap_or_default().to_owned();
            self.recoveries.entry(of).or_default().push((stream.clone(), row.seq, recorded));
        }
        Ok(())
    }

    /// Every dead stream has exactly one record of its end, and every such record a dead stream.
    ///
    /// A stream that was open when the walk began may have been ended since: `now` has the streams as they are after it.
    fn succession(&mut self, before: &[StreamRow], now: &[StreamRow]) -> Result<(), BadRow> {
        let was_recovered = |walk: &Self, row: &StreamRow| {
            let state = before.iter().find(|earlier| earlier.head.stream == row.head.stream);
            state.map_or(Ok(false), |earlier| Ok(walk.state(earlier)? == StreamState::Recovered))
        };
        for row in now {
            let head = &row.head;
            let records = self.recoveries.remove(head.stream.as_str()).unwrap_or_default();
            let good = match records.as_slice() {
                [] => !was_recovered(self, row)?,
                [(_, _, one)] => {
                    self.state(row)? == StreamState::Recovered && one.names_end(head.seq, &head.hash)
                }
                _ => false,
            };
            if !good {
                return Err(bad(&head.stream, 0, Fault::Recovery));
            }
        }
        match self.recoveries.values().flatten().next() {
            Some((stream, seq, _)) => Err(bad(stream, *seq, Fault::Unrecovered)),
            None => Ok(()),
        }
    }
}

fn check_row(keys: &AuditKeys, stream: &StreamId, place: &Place, row: &AuditRow) -> Result<Recorded, Fault> {
    if row.seq != place.seq + 1 || row.stream != *stream {
        return Err(Fault::Gap);
    }
    if row.previous_hash != place.hash {
        return Err(Fault::Previous);
    }
    if row.hash != event_hash(&row.previous_hash, &row.body) {
        return Err(Fault::Hash);
    }
    if !keys.verify(&row.mac_key, &row.hash, &row.mac) {
        return Err(Fault::Mac);
    }
    let recorded = Recorded::read(&row.body).ok_or(Fault::Body)?;
    match recorded.differs(row) {
        None => Ok(recorded),
        Some(column) => Err(Fault::Column(column)),
    }
}

fn bad(stream: &StreamId, seq: i64, fault: Fault) -> BadRow {
    BadRow { stream: stream.clone(), seq, fault }
}
