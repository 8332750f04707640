//! The writer task: gathers what waits, commits it, answers everyone. Nothing here ever waits without a bound.

mod stream;

use super::{
    log::AuditConfig,
    prepare::Prepared,
    queue::{Answer, Receipt, Request},
    refused::Refused,
    seal::{BatchSeal, Intended},
    stream::{Context, Opened},
    weather::Weather,
};
use crate::{
    crash::crash_point,
    domain::{Applied, Entry, EventKind, Group, Outcome, Position, Rules, Timestamp, ledger::Head},
    storage::{LockMode, StoreError},
    trace::step,
};
use arc_swap::ArcSwap;
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use stream::Heartbeat;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

/// A store that fails this often in a row is down, and not one group's fault.
const FAILURES_IN_A_ROW: usize = 3;

/// Most traced calls that one commit is linked to, beside the first.
const MOST_LINKS: usize = 31;

/// Asks the writer to end its stream.
pub(super) type CloseRequest = oneshot::Sender<Result<(), Refused>>;

/// How the writer stands with its stream.
enum Standing {
    /// Its head is known.
    Writing(Head),
    /// A commit's outcome is unknown: the head must be read before anything else.
    Unsettled { head: Head, intended: Option<Intended> },
    /// Somebody else moved or ended the stream: it is over for good, and a new one is needed.
    Ended { retry_at: Duration },
}

/// What became of one commit.
enum Attempt {
    Committed(Vec<Vec<Applied>>, Head),
    /// Nothing was written. `culprit`: a group of the batch is at fault, not the store.
    Failed {
        culprit: bool,
    },
    /// Nothing may be assumed.
    Unavailable,
}

/// Requests of one commit.
#[derive(Default)]
struct Batch {
    groups: Vec<Group>,
    prepared: Vec<Vec<Prepared>>,
    callers: Vec<oneshot::Sender<Answer>>,
    /// Where callers wait whose calls are traced: the commit is a step of the first, and linked to the others.
    spans: Vec<Span>,
}

impl Batch {
    fn push(&mut self, request: Request) {
        if !request.span.is_disabled() {
            self.spans.push(request.span);
        }
        self.groups.push(request.group);
        self.prepared.push(request.prepared);
        self.callers.push(request.answer);
    }

    fn refuse(self) {
        for caller in self.callers {
            let _ = caller.send(Err(Refused::Unavailable));
        }
    }
}

/// The step that a commit is, for those whose calls are in it.
fn commit_span(callers: &[Span]) -> Span {
    let Some((first, others)) = callers.split_first() else { return Span::none() };
    let span = first.in_scope(|| step!("audit commit"));
    for other in others.iter().take(MOST_LINKS) {
        span.follows_from(other);
    }
    span
}

pub(super) struct Writer {
    context: Arc<Context>,
    config: AuditConfig,
    rules: Arc<ArcSwap<Rules>>,
    weather: Arc<Weather>,
    standing: Standing,
    opened_at: Timestamp,
    main: mpsc::Receiver<Request>,
    reserved: mpsc::Receiver<Request>,
}

impl Writer {
    pub(super) fn new(
        context: Arc<Context>,
        config: AuditConfig,
        rules: Arc<ArcSwap<Rules>>,
        weather: Arc<Weather>,
        opened: Opened,
        main: mpsc::Receiver<Request>,
        reserved: mpsc::Receiver<Request>,
    ) -> Self {
        let standing = Standing::Writing(opened.head);
        Self { context, config, rules, weather, standing, opened_at: opened.opened_at, main, reserved }
    }

    /// Runs until it is asked to close or every handle is gone.
    pub(super) async fn run(mut self, mut close: oneshot::Receiver<CloseRequest>) {
        let mut heartbeat = Heartbeat::every(self.context.ledger.heartbeat());
        loop {
            let first = tokio::select! {
                biased;
                asked = &mut close => {
                    match asked {
                        Ok(answer) => drop(answer.send(self.close().await)),
                        // Every handle is gone without a word, as in a crash; what was handed over is still written.
                        Err(_) => self.drain().await,
                    }
                    return;
                }
                () = heartbeat.due() => {
                    self.beat().await;
                    continue;
                }
                Some(request) = self.reserved.recv() => request,
                Some(request) = self.main.recv() => request,
                else => return,
            };
            self.write_with(first).await;
        }
    }

    /// Writes `first` and what else is there now: a batch fills by load, never by waiting.
    async fn write_with(&mut self, first: Request) {
        let mut entries = first.group.entries.len();
        let mut waiting = vec![first];
        while entries < self.config.batch {
            match self.reserved.try_recv().or_else(|_| self.main.try_recv()) {
                Ok(request) => {
                    entries += request.group.entries.len();
                    waiting.push(request);
                }
                Err(_) => break,
            }
        }
        self.config.metrics.audit_waiting(self.main.len() + self.reserved.len());
        // Rules first: what reduces authority should wait for nothing.
        let (rules, ordinary): (Vec<_>, Vec<_>) = waiting.into_iter().partition(Request::is_rule);
        self.commit(rules, LockMode::Exclusive).await;
        self.commit(ordinary, LockMode::Shared).await;
    }

    async fn commit(&mut self, requests: Vec<Request>, lock: LockMode) {
        let batch = self.begin(requests);
        if batch.groups.is_empty() {
            return;
        }
        // Its span ends before anybody is answered.
        let attempt = self.attempt(&batch.groups, &batch.prepared, lock);
        let attempt = attempt.instrument(commit_span(&batch.spans)).await;
        match attempt {
            Attempt::Committed(applied, head) => {
                self.answer(batch.groups, batch.callers, &applied, &head);
            }
            Attempt::Failed { .. } if batch.groups.len() > 1 => self.one_by_one(batch, lock).await,
            Attempt::Failed { .. } | Attempt::Unavailable => batch.refuse(),
        }
    }

    /// Takes requests out of the queue for good; those whose caller gave up are left out (AU17).
    fn begin(&self, requests: Vec<Request>) -> Batch {
        let now = self.context.clock.monotonic();
        let mut batch = Batch::default();
        for request in requests {
            self.config.metrics.audit_queue_wait(now.saturating_sub(request.queued_at));
            if request.must_be_written() {
                batch.push(request);
            } else if now >= request.deadline {
                request.refuse(Refused::DeadlineExceeded);
            } else if !request.answer.is_closed() && request.ticket.begin() {
                batch.push(request);
            }
        }
        batch
    }

    /// One bad group must not fail its neighbours.
    async fn one_by_one(&mut self, batch: Batch, lock: LockMode) {
        let mut down = 0;
        let spans = batch.spans;
        for ((group, prepared), caller) in batch.groups.into_iter().zip(batch.prepared).zip(batch.callers) {
            if down >= FAILURES_IN_A_ROW {
                let _ = caller.send(Err(Refused::Unavailable));
                continue;
            }
            let (groups, prepared) = (vec![group], [prepared]);
            let attempt = self.attempt(&groups, &prepared, lock).instrument(commit_span(&spans)).await;
            match attempt {
                Attempt::Committed(applied, head) => {
                    down = 0;
                    self.answer(groups, vec![caller], &applied, &head);
                }
                failed => {
                    match failed {
                        Attempt::Failed { culprit: false } => down += 1,
                        Attempt::Unavailable => down = FAILURES_IN_A_ROW,
                        _ => {}
                    }
                    let _ = caller.send(Err(Refused::Unavailable));
                }
            }
        }
    }

    async fn attempt(&mut self, groups: &[Group], prepared: &[Vec<Prepared>], lock: LockMode) -> Attempt {
        match self.ready().await {
            Some(head) => self.append(head, groups, prepared, lock).await,
            None => Attempt::Unavailable,
        }
    }

    /// Commits after `head`.
    async fn append(
        &mut self,
        head: Head,
        groups: &[Group],
        prepared: &[Vec<Prepared>],
        lock: LockMode,
    ) -> Attempt {
        let context = self.context.clone();
        let now = context.clock.now();
        let seal = BatchSeal::new(&context.audit, &context.rows, now, prepared);
        let known = self.rules.load().epoch();
        let (issues, settles) = (issues(groups), settles(groups));
        if issues {
            crash_point!(context.points, "ledger.issue_before_commit");
        }
        let commit = AssertUnwindSafe(context.ledger.commit(&head, known, groups, lock, now, &seal));
        let began = context.clock.monotonic();
        let result = tokio::time::timeout(context.commit_timeout, commit.catch_unwind()).await;
        if issues {
            crash_point!(context.points, "ledger.issue_committed");
        }
        if settles {
            crash_point!(context.points, "ledger.settlement_committed");
        }
        let (took, worked) =
            (context.clock.monotonic().saturating_sub(began), matches!(result, Ok(Ok(Ok(_)))));
        self.config.metrics.audit_commit(groups.iter().map(|g| g.entries.len()).sum(), worked, took);
        self.weather.seen(worked, context.clock.monotonic());
        // A stream that somebody else has ended, or a row that is wrong, says nothing about the database.
        if matches!(result, Err(_) | Ok(Ok(Err(StoreError::Unavailable(_))))) {
            self.weather.out_of_reach(context.clock.monotonic());
        }
        if worked {
            self.config.metrics.audit_committed_at(now);
        }
        let intended = seal.into_intended();
        match result {
            Ok(Ok(Ok(done))) => {
                if intended.as_ref().is_none_or(|i| i.head != done.head || i.applied != done.applied) {
                    tracing::error!("the ledger committed something else than was sealed; the stream ends");
                    self.end();
                    return Attempt::Unavailable;
                }
                self.learn(&done.new_rules);
                self.standing = Standing::Writing(done.head.clone());
                Attempt::Committed(done.applied, done.head)
            }
            Ok(Ok(Err(StoreError::HeadMoved))) => {
                tracing::error!("the audit stream's head moved under its writer; the stream ends");
                self.end();
                Attempt::Unavailable
            }
            Ok(Ok(Err(StoreError::RuleTampered))) => {
                tracing::error!("a revocation rule failed its integrity check; nothing is issued");
                // Unless another replica made it with a key that is new.
                if let Err(error) = context.keys.reread_row_keys().await {
                    tracing::warn!(%error, "the system keys could not be read again");
                }
                Attempt::Unavailable
            }
            Ok(Ok(Err(StoreError::Malformed { table, column }))) => {
                tracing::error!(table, column, "a commit met a malformed value");
                Attempt::Failed { culprit: true }
            }
            Ok(Ok(Err(StoreError::Exists | StoreError::KeyUnknown { .. }))) => {
                Attempt::Failed { culprit: true }
            }
            Ok(Ok(Err(StoreError::Unavailable(why)))) => {
                tracing::warn!(%why, "an audit commit failed");
                self.settle(head, intended, false).await
            }
            Ok(Err(_panic)) => {
                tracing::error!("encoding an audit event panicked");
                self.settle(head, intended, true).await
            }
            Err(_elapsed) => {
                tracing::warn!("an audit commit took too long");
                match self.settle(head, intended, false).await {
                    // Not worth a try group by group: each would be as slow.
                    Attempt::Failed { .. } => Attempt::Unavailable,
                    settled => settled,
                }
            }
        }
    }

    fn answer(
        &self,
        groups: Vec<Group>,
        callers: Vec<oneshot::Sender<Answer>>,
        applied: &[Vec<Applied>],
        head: &Head,
    ) {
        self.context.count(&groups, applied);
        let committed_at = self.context.clock.monotonic();
        let total: usize = groups.iter().map(|g| g.entries.len()).sum();
        let mut seq = head.seq - i64::try_from(total).unwrap_or(i64::MAX);
        for ((group, caller), applied) in groups.into_iter().zip(callers).zip(applied) {
            let mut positions = Vec::with_capacity(group.entries.len());
            for _ in &group.entries {
                seq += 1;
                positions.push(Position { stream: head.stream.clone(), seq });
            }
            let _ = caller.send(match Refused::of(&group.entries, applied) {
                None => Ok(Receipt { positions, committed_at }),
                Some(refused) => Err(refused),
            });
        }
    }

    /// Takes nothing new, and writes what waits.
    async fn drain(&mut self) {
        self.main.close();
        self.reserved.close();
        while let Some(first) = self.reserved.recv().await {
            self.write_with(first).await;
        }
        while let Some(first) = self.main.recv().await {
            self.write_with(first).await;
        }
    }
}

/// Whether a grant is recorded.
fn issues(groups: &[Group]) -> bool {
    let allowed =
        |entry: &Entry| entry.draft.kind == EventKind::GrantIssue && entry.draft.outcome == Outcome::Allowed;
    groups.iter().flat_map(|group| &group.entries).any(allowed)
}

/// Whether refreshed tokens are stored.
fn settles(groups: &[Group]) -> bool {
    groups.iter().flat_map(|group| &group.entries).any(|entry| entry.draft.kind == EventKind::RefreshStored)
}
