//! The audit log as use cases see it: record a permit, note an event, know the rules.

use super::{
    Audited, Deadline, Refused,
    agreement::{agree, describe, needs_permit},
    prepare::prepare,
    queue::{Receipt, Request, Ticket, Waiting},
    stream::{Context, Opened},
    weather::Weather,
    writer::{CloseRequest, Writer},
};
use crate::{
    crash::CrashPoints,
    domain::{
        Clock, Entry, EventKind, Group, Outcome, Personal, Position, Rng, Rule, Rules, Shares, StreamId,
        WorkloadId,
    },
    keys::KeyRing,
    metrics::Metrics,
    policy::{Permit, Purpose},
    storage::{Ledger, STREAM_WINDOW, StoreError},
    trace::{self, step},
};
use arc_swap::ArcSwap;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

/// How much waits, and how long.
#[derive(Clone)]
pub struct AuditConfig {
    /// Most groups waiting; a quarter of it is closed to denials, so that they never crowd out grants (AU2).
    pub queue: usize,
    /// Most settlements and rules waiting, beside the queue.
    pub reserved: usize,
    /// Most entries in one commit; a group of several is never divided, and may go a little beyond.
    pub batch: usize,
    /// A commit that takes longer is given up, and settled by reading the head.
    pub commit_timeout: Duration,
    /// A stream that has this many events is ended and followed by another: whatever walks a stream has a bound.
    pub stream_events: i64,
    /// So is one that was opened in an earlier window of this length, counted from 1970 in UTC: old windows can be put
    /// away whole (AU16).
    pub stream_window: Duration,
    /// It is a command's log, which writes a few events and no rule: what says how many rules there are is a broker's stream.
    pub passing: bool,
    /// Counts events and commits.
    pub metrics: Metrics,
    /// Where this process dies, in tests.
    pub points: CrashPoints,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            queue: 4096,
            reserved: 1024,
            batch: 256,
            commit_timeout: Duration::from_secs(5),
            stream_events: 1_000_000,
            stream_window: STREAM_WINDOW,
            passing: false,
            metrics: Metrics::default(),
            points: CrashPoints::none(),
        }
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Storage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A revocation rule failed its integrity check: nothing may be issued.
    #[error("revocation rule {epoch} failed its integrity check: run `broker audit verify` and restore it")]
    RuleTampered {
        /// Its place in the list of rules.
        epoch: i64,
    },
    /// Rules that the log speaks of are gone: what they took away might be served again.
    #[error(
        "revocation rules are missing: the audit log speaks of {recorded}, here are {found}: restore them from a backup"
    )]
    RulesMissing {
        /// How many the log speaks of.
        recorded: i64,
        /// How many there are.
        found: i64,
    },
    /// A stream's head failed its integrity check.
    #[error("the head of audit stream {0} failed its integrity check: run `broker audit verify`")]
    StreamTampered(StreamId),
}

/// The audit log. One per process; shared by reference.
pub struct Audit {
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    rules: Arc<ArcSwap<Rules>>,
    main: mpsc::Sender<Request>,
    reserved: mpsc::Sender<Request>,
    denial_floor: usize,
    /// How the queue is shared between workloads.
    shares: Shares<WorkloadId>,
    close: Mutex<Option<oneshot::Sender<CloseRequest>>>,
    weather: Arc<Weather>,
    metrics: Metrics,
}

impl Audit {
    /// Loads and checks every revocation rule, ends the streams of dead writers, opens a stream, starts the writer.
    ///
    /// # Errors
    /// [`AuditError`]: storage, or a rule or stream head that was edited.
    pub async fn start(
        ledger: Arc<dyn Ledger>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        config: AuditConfig,
    ) -> Result<Self, AuditError> {
        let context = Arc::new(Context {
            ledger,
            audit: keys.audit_keys(),
            rows: keys.row_key(),
            keys: keys.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            commit_timeout: config.commit_timeout,
            metrics: config.metrics.clone(),
            passing: config.passing,
            points: config.points.clone(),
        });
        let mut rules = Rules::default();
        rules.apply(&load_rules(&context).await?);
        let opened = context.start(rules.epoch()).await?;
        rules.apply(&opened.new_rules);
        Ok(Self::spawn(context, keys, config, rules, opened))
    }

    fn spawn(
        context: Arc<Context>,
        keys: Arc<KeyRing>,
        config: AuditConfig,
        rules: Rules,
        opened: Opened,
    ) -> Self {
        let (main, main_end) = mpsc::channel(config.queue.max(1));
        let (reserved, reserved_end) = mpsc::channel(config.reserved.max(1));
        let (close, close_end) = oneshot::channel();
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let (clock, rng) = (context.clock.clone(), context.rng.clone());
        let (denial_floor, shares) = (config.queue / 4, Shares::new(config.queue));
        let (weather, metrics) = (Arc::new(Weather::since(clock.monotonic())), config.metrics.clone());
        let writer =
            Writer::new(context, config, rules.clone(), weather.clone(), opened, main_end, reserved_end);
        tokio::spawn(writer.run(close_end));
        let close = Mutex::new(Some(close));
        Self { keys, clock, rng, rules, main, reserved, denial_floor, shares, close, weather, metrics }
    }

    /// The revocation rules this process has seen. Read names under its epoch, and put that epoch into the entry.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Writes a permit down. The event's kind, outcome, scopes, end and policy trace come from the permit, whatever
    /// the draft says.
    ///
    /// # Errors
    /// [`Refused`]: the permit is gone, and nothing was allowed. For `Hit`, `Duplicate`, `Replayed` and `NotApplied` a row
    /// says so.
    pub async fn record<P: Purpose>(
        &self,
        permit: Permit<P>,
        entry: Entry,
        deadline: Deadline,
    ) -> Result<Audited<Permit<P>>, Refused> {
        self.record_group(vec![(permit, entry)], deadline).await?.pop().ok_or(Refused::Unavailable)
    }

    /// Writes permits down that share their fate: all of them are recorded by one commit, or none is (GR6).
    ///
    /// # Errors
    /// [`Refused`]: the permits are gone, and nothing was allowed. For `Hit`, `Duplicate`, `Replayed` and `NotApplied`
    /// rows say so.
    pub async fn record_group<P: Purpose>(
        &self,
        permits: Vec<(Permit<P>, Entry)>,
        deadline: Deadline,
    ) -> Result<Vec<Audited<Permit<P>>>, Refused> {
        if permits.is_empty() {
            return Err(Refused::Inconsistent("a group has at least one entry"));
        }
        let (mut kept, mut entries) = (Vec::with_capacity(permits.len()), Vec::with_capacity(permits.len()));
        for (permit, mut entry) in permits {
            agree(&permit, &entry)?;
            describe(&permit, &mut entry.draft);
            kept.push((permit, entry.draft.id.clone()));
            entries.push(entry);
        }
        let receipt = self.submit(Group { entries }, deadline).await?;
        if receipt.positions.len() != kept.len() {
            return Err(Refused::Unavailable);
        }
        let recorded = kept.into_iter().zip(receipt.positions);
        Ok(recorded
            .map(|((permit, event), position)| Audited::new(permit, event, position, receipt.committed_at))
            .collect())
    }

    /// Writes an event that opens nothing.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn note(&self, entry: Entry, deadline: Deadline) -> Result<Position, Refused> {
        let positions = self.note_group(Group { entries: vec![entry] }, deadline).await?;
        positions.into_iter().next().ok_or(Refused::Unavailable)
    }

    /// Writes events that share their fate, in order.
    ///
    /// # Errors
    /// [`Refused`]: then none of their effects happened.
    pub async fn note_group(&self, group: Group, deadline: Deadline) -> Result<Vec<Position>, Refused> {
        if group.entries.is_empty() {
            return Err(Refused::Inconsistent("a group has at least one entry"));
        }
        for entry in &group.entries {
            if needs_permit(entry.draft.kind) && entry.draft.outcome == Outcome::Allowed {
                return Err(Refused::Inconsistent("this event is written by recording a permit"));
            }
        }
        Ok(self.submit(group, deadline).await?.positions)
    }

    /// Writes what waits, then ends the stream. Everything after is refused.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] when the end could not be written: the next start will recover the stream.
    pub async fn close(&self, deadline: Deadline) -> Result<(), Refused> {
        let sender = self.close.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(sender) = sender else { return Ok(()) };
        let (answer, done) = oneshot::channel();
        let wait = self.remaining(deadline.resolve(&*self.clock));
        sender.send(answer).map_err(|_| Refused::Unavailable)?;
        match tokio::time::timeout(wait, done).await {
            Ok(Ok(closed)) => closed,
            _ => Err(Refused::Unavailable),
        }
    }

    /// Whether the writer takes entries: false after [`Self::close`], or if it died. For readiness.
    pub fn is_open(&self) -> bool {
        !self.main.is_closed()
    }

    /// Whether commits work, as far as is known: false a while after one failed. What fails here fails on every replica alike.
    pub fn is_writing(&self) -> bool {
        !self.weather.is_foul(self.clock.monotonic())
    }

    /// How long this process has seen everything stored: its commits, its signs of life, its tries to open a stream. No longer than it
    /// runs: of the time before it knows nothing.
    pub fn fair_for(&self) -> Duration {
        self.weather.fair_for(self.clock.monotonic())
    }

    /// How many groups wait for the writer now.
    pub fn queued(&self) -> usize {
        let queued = |sender: &mpsc::Sender<Request>| sender.max_capacity() - sender.capacity();
        queued(&self.main) + queued(&self.reserved)
    }

    /// The span is how long the caller waited: for its turn, and for the commit it is part of.
    async fn submit(&self, group: Group, deadline: Deadline) -> Result<Receipt, Refused> {
        let span = step!(
            "audit record",
            broker.event.kind = group.entries.first().map(|entry| entry.draft.kind.as_str()),
            broker.event.outcome = group.entries.first().map(|entry| entry.draft.outcome.as_str()),
        );
        trace::within(span, self.submit_now(group, deadline)).await
    }

    async fn submit_now(&self, group: Group, deadline: Deadline) -> Result<Receipt, Refused> {
        let deadline = deadline.resolve(&*self.clock);
        let nobody = |e: &Entry| e.draft.subject.is_none() && e.draft.personal != Personal::default();
        if group.entries.iter().any(nobody) {
            return Err(Refused::Inconsistent("personal fields need a subject"));
        }
        let preparing = prepare(&self.keys, &*self.rng, &group);
        let prepared = match tokio::time::timeout(self.remaining(deadline), preparing).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(error)) => {
                tracing::error!(%error, "an event could not be prepared");
                return Err(Refused::Unavailable);
            }
            Err(_) => return Err(Refused::DeadlineExceeded),
        };
        let (answer, receiver) = oneshot::channel();
        let ticket = Ticket::default();
        let request = Request {
            group,
            prepared,
            deadline,
            ticket: ticket.clone(),
            answer,
            share: None,
            span: Span::current(),
            queued_at: self.clock.monotonic(),
        };
        let may_withdraw = !request.must_be_written();
        self.enqueue(request).await.inspect_err(|refused| {
            if *refused == Refused::Overloaded {
                self.metrics.shed("audit_queue");
            }
        })?;
        Waiting { ticket, answer: receiver, may_withdraw }.answer(self.remaining(deadline)).await
    }

    async fn enqueue(&self, mut request: Request) -> Result<(), Refused> {
        if request.must_be_written() {
            let wait = self.remaining(request.deadline);
            return match tokio::time::timeout(wait, self.reserved.send(request)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(Refused::Unavailable),
            };
        }
        let summary = |e: &Entry| e.draft.kind == EventKind::RefusalsSummary;
        let refused = |e: &Entry| matches!(e.draft.outcome, Outcome::Denied | Outcome::Failed);
        let denial = |e: &Entry| refused(e) && e.effect.is_empty() && !summary(e);
        let entries = &request.group.entries;
        // A batch is refused for one of its items; the others fail with it.
        let denied = entries.iter().all(denial) && entries.iter().any(|e| e.draft.outcome == Outcome::Denied);
        if denied && self.main.capacity() <= self.denial_floor {
            return Err(Refused::Overloaded);
        }
        // Callers that give up leave what they asked for in the queue until the writer comes to it: one workload's must not
        // fill it (AV4).
        if let Some(workload) = request.workload() {
            request.share = Some(self.shares.take(workload).ok_or(Refused::Overloaded)?);
        }
        self.main.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Refused::Unavailable,
        })
    }

    /// How many requests wait in the queue and in the reserve.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queued = |sender: &mpsc::Sender<Request>| sender.max_capacity() - sender.capacity();
        (queued(&self.main), queued(&self.reserved))
    }

    fn remaining(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.clock.monotonic())
    }
}

/// Every rule, checked: a rule that cannot be trusted might be one that was weakened.
async fn load_rules(context: &Context) -> Result<Vec<Rule>, AuditError> {
    let tagged = context.ledger.rules_since(0).await?;
    (1..)
        .zip(tagged)
        .map(|(epoch, rule)| match rule.check(&context.rows) {
            Ok(rule) if rule.epoch == epoch => Ok(rule),
            _ => Err(AuditError::RuleTampered { epoch }),
        })
        .collect()
}
