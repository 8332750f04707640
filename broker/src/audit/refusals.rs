//! Refusals that get no row of their own, summed up: those before authentication, and an authenticated workload's
//! beyond its budget (AU2). However many there are, memory and rows stay bounded.

use crate::domain::{
    Clock, Entry, EventDraft, EventId, EventKind, Outcome, Reason, Rng, Timestamp, WorkloadId,
};
use crate::metrics::Metrics;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most different (listener, reason, prefix, minute) held; further ones are counted under the prefix `other`.
const MOST_SUMS: usize = 4096;
/// Most of those that are counted under it before further minutes are counted under an earlier one.
const MOST_OTHERS: usize = 1024;
/// The prefix of what was not told apart.
const OTHER: &str = "other";
/// Most workloads whose budget is watched within a minute; further ones are summed up at once.
const MOST_WORKLOADS: usize = 4096;

/// What is summed into one row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Sum {
    minute: i64,
    listener: &'static str,
    reason: Reason,
    prefix: String,
    workload: Option<WorkloadId>,
}

/// Refusals summed up: one row of the log ([`Refusals::entry`]).
#[derive(Debug)]
pub struct Summary {
    sum: Sum,
    count: u64,
}

impl Sum {
    /// Whether they differ in the minute alone.
    fn is_like(&self, other: &Self) -> bool {
        (self.listener, self.reason, &self.prefix, &self.workload)
            == (other.listener, other.reason, &other.prefix, &other.workload)
    }
}

#[derive(Default)]
struct State {
    sums: HashMap<Sum, u64>,
    budgets: HashMap<WorkloadId, (i64, u32)>,
}

impl State {
    fn add(&mut self, mut sum: Sum, count: u64) {
        if self.sums.len() >= MOST_SUMS && !self.sums.contains_key(&sum) {
            OTHER.clone_into(&mut sum.prefix);
            sum.workload = None;
            // An outage that goes on makes one of these a minute: they stay bounded too.
            if self.sums.len() >= MOST_SUMS + MOST_OTHERS && !self.sums.contains_key(&sum) {
                let last =
                    self.sums.keys().filter(|known| sum.is_like(known)).map(|known| known.minute).max();
                sum.minute = last.unwrap_or(sum.minute);
            }
        }
        let held = self.sums.entry(sum).or_default();
        *held = held.saturating_add(count);
    }
}

/// Counts refusals.
pub struct Refusals {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    budget: u32,
    metrics: Metrics,
    state: Mutex<State>,
}

impl Refusals {
    /// `budget`: denials per workload and minute that get rows of their own.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, budget: u32) -> Self {
        Self { clock, rng, budget, metrics: Metrics::default(), state: Mutex::default() }
    }

    /// Counts them in these metrics too.
    #[must_use]
    pub fn metered(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Counts a refusal before authentication.
    pub fn count(&self, listener: &'static str, reason: Reason, source: IpAddr) {
        self.add(listener, reason, prefix(source), None);
    }

    /// Whether a denial of an authenticated workload gets a row of its own; when not, it is counted here.
    pub fn spend(&self, listener: &'static str, reason: Reason, workload: &WorkloadId) -> bool {
        let minute = minute(self.clock.now());
        let within = {
            let mut state = self.lock();
            if state.budgets.len() >= MOST_WORKLOADS {
                state.budgets.retain(|_, (at, _)| *at == minute);
            }
            if state.budgets.len() >= MOST_WORKLOADS && !state.budgets.contains_key(workload) {
                false
            } else {
                let (at, spent) = state.budgets.entry(workload.clone()).or_insert((minute, 0));
                if *at != minute {
                    (*at, *spent) = (minute, 0);
                }
                *spent = spent.saturating_add(1);
                *spent <= self.budget
            }
        };
        if !within {
            self.sum_up(listener, reason, workload);
        }
        within
    }

    /// Counts a refusal of an authenticated workload that gets no row of its own in any case.
    pub fn sum_up(&self, listener: &'static str, reason: Reason, workload: &WorkloadId) {
        self.add(listener, reason, String::new(), Some(workload.clone()));
    }

    /// All minutes that are over at `now`. What is drained is forgotten here: what is not written is [put back](Self::put_back).
    pub fn drain(&self, now: Timestamp) -> Vec<Summary> {
        self.take(|at| at < minute(now))
    }

    /// Everything counted so far, at shutdown.
    pub fn drain_all(&self) -> Vec<Summary> {
        self.take(|_| true)
    }

    fn take(&self, over: impl Fn(i64) -> bool) -> Vec<Summary> {
        let mut taken: Vec<(Sum, u64)> = self.lock().sums.extract_if(|sum, _| over(sum.minute)).collect();
        taken.sort_by(|(a, _), (b, _)| {
            (a.minute, a.listener, a.reason.as_str(), &a.prefix, &a.workload).cmp(&(
                b.minute,
                b.listener,
                b.reason.as_str(),
                &b.prefix,
                &b.workload,
            ))
        });
        taken.into_iter().map(|(sum, count)| Summary { sum, count }).collect()
    }

    /// Counts again what could not be written.
    pub fn put_back(&self, summaries: impl IntoIterator<Item = Summary>) {
        let mut state = self.lock();
        for Summary { sum, count } in summaries {
            state.add(sum, count);
        }
    }

    /// The row of one, for [`super::Audit::note`].
    pub fn entry(&self, summary: &Summary) -> Entry {
        let sum = &summary.sum;
        let id = EventId::random(&*self.rng);
        let mut draft = EventDraft::new(id, EventKind::RefusalsSummary, Outcome::Denied);
        draft.reason = Some(sum.reason);
        draft.workload = sum.workload.clone();
        draft.detail.insert("count", summary.count.into());
        draft.detail.insert("listener", sum.listener.into());
        let minute = Timestamp::from_unix_seconds(sum.minute.saturating_mul(60));
        draft.detail.insert("minute", minute.rfc3339().into());
        if !sum.prefix.is_empty() {
            draft.detail.insert("source_prefix", sum.prefix.as_str().into());
        }
        Entry::note(draft)
    }

    fn add(&self, listener: &'static str, reason: Reason, prefix: String, workload: Option<WorkloadId>) {
        self.metrics.refusal(listener, reason);
        let minute = minute(self.clock.now());
        self.lock().add(Sum { minute, listener, reason, prefix, workload }, 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn minute(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(60)
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one: enough to see where a flood comes from.
fn prefix(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}
