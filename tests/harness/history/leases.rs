//! Leases exclude each other (RF2): the next refresh of a connection begins when the one before it was given back, or when the time of
//! its lease is over on the database's clock; and a token that may be on its way is left alone for longer (RF7).

use super::attempts::{Attempt, attempts};
use super::faults::Faults;
use super::{Broken, History, Rule};

/// How long a lease holds, in microseconds: the provider of every run gives no grace.
pub(super) const LEASE: i64 = 60_000_000;
/// How much longer a token is left alone whose holder said nothing, in microseconds: a call with its turn (12 s) and the default of
/// `spool.drain_grace` (60 s). The provider of every run revokes families, so that each token is good once.
const LEFT_ALONE: i64 = 72_000_000;
/// A row's time is read before its commit, and a decision after what it relies on: so a lease seems longer, never shorter. What is left
/// is rounding.
const ROUNDING: i64 = 10_000;
/// A jump is noted before it is made: one so much before an intent may have come after it. In microseconds.
const NOTED_BEFORE: i64 = 5_000_000;

pub(super) fn exclusive(history: &History) -> Vec<Broken> {
    let (mut attempts, _) = attempts(history);
    attempts.sort_by_key(|attempt| (attempt.connection, attempt.lease));
    let pairs = attempts.array_windows().filter(|[earlier, next]| earlier.connection == next.connection);
    let early = pairs.filter(|[earlier, next]| !is_over(&history.faults, earlier, next));
    early
        .map(|[earlier, next]| {
            let connection = earlier.connection;
            Rule::Lease.broken(format!("{connection}: {next:?} began while this was under way: {earlier:?}"))
        })
        .collect()
}

/// Whether the earlier one was over when the next one began.
fn is_over(faults: &Faults, earlier: &Attempt<'_>, next: &Attempt<'_>) -> bool {
    if earlier.released.is_some_and(|at| at <= next.from) {
        return true;
    }
    // Another token is that of a person who connected anew.
    let left_alone = if next.sent == earlier.sent { LEFT_ALONE } else { 0 };
    let passed = next.from - earlier.from + faults.jumped(earlier.from - NOTED_BEFORE, next.from);
    passed + ROUNDING >= LEASE + left_alone
}
