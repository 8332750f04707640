//! What waits for the writer, and the one question that must have one answer: was it begun or withdrawn? (AU17)

use super::{prepare::Prepared, refused::Refused};
use crate::domain::{EventKind, Group, Position, Share, WorkloadId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::Span;

const QUEUED: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Begun by the writer or withdrawn by its caller, never both.
#[derive(Clone, Default)]
pub(super) struct Ticket(Arc<AtomicU8>);

impl Ticket {
    fn leave_queue(&self, to: u8) -> bool {
        self.0.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The writer's side: false when the caller withdrew it.
    pub(super) fn begin(&self) -> bool {
        self.leave_queue(BEGUN)
    }

    /// The caller's side: false when the writer began it, so that its outcome is open.
    pub(super) fn withdraw(&self) -> bool {
        self.leave_queue(WITHDRAWN)
    }
}

/// What a committed group is answered with.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) positions: Vec<Position>,
    pub(super) committed_at: Duration,
}

pub(super) type Answer = Result<Receipt, Refused>;

/// A group on its way to the writer.
pub(super) struct Request {
    pub(super) group: Group,
    pub(super) prepared: Vec<Prepared>,
    pub(super) deadline: Duration,
    pub(super) ticket: Ticket,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Its workload's part of the queue, until it leaves that.
    pub(super) share: Option<Share>,
    /// Where its caller waits, if that is traced.
    pub(super) span: Span,
    /// When it was put into the queue, by the monotonic clock.
    pub(super) queued_at: Duration,
}

impl Request {
    /// The workload whose call this is about.
    pub(super) fn workload(&self) -> Option<&WorkloadId> {
        let draft = &self.group.entries.first()?.draft;
        // The broker itself sums up.
        draft.workload.as_ref().filter(|_| draft.kind != EventKind::RefusalsSummary)
    }

    /// Its outside half happened, or it reduces authority: it is written even when nobody waits any more.
    pub(super) fn must_be_written(&self) -> bool {
        self.is_rule() || self.group.entries.iter().any(|e| e.settlement)
    }

    /// Whether it needs the exclusive lock.
    pub(super) fn is_rule(&self) -> bool {
        self.group.entries.iter().flat_map(|e| &e.effect).any(crate::domain::Write::is_rule)
    }

    pub(super) fn refuse(self, refused: Refused) {
        // A caller that is gone needs no answer.
        let _ = self.answer.send(Err(refused));
    }
}

/// The caller's end. Dropped while the request is queued, it withdraws it.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) answer: oneshot::Receiver<Answer>,
    pub(super) may_withdraw: bool,
}

impl Waiting {
    /// Waits at most `wait`.
    pub(super) async fn answer(mut self, wait: Duration) -> Answer {
        match tokio::time::timeout(wait, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            // The writer is gone: it did not say whether this was written.
            Ok(Err(_)) => Err(Refused::Unavailable),
            Err(_) if self.may_withdraw && self.ticket.withdraw() => Err(Refused::DeadlineExceeded),
            Err(_) => Err(Refused::Unavailable),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.may_withdraw {
            self.ticket.withdraw();
        }
    }
}
