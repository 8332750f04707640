//! Why a refresh token may be sent once more: what came for it before never reached anybody who could keep it (RF7).

use super::asked::{Answer, Asked};
use super::attempts::{Attempt, How};
use super::faults::Faults;
use super::leases::LEASE;

/// How long a call of the provider may take before its caller gives up, in microseconds.
const CALL: i64 = 10_000_000;

/// What kept the provider's answer from being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    /// The provider never sent it.
    ReplyLost,
    /// Whoever had asked was killed before it was stored.
    HolderKilled,
    /// Whoever had asked gave up waiting.
    NobodyWaited,
    /// The clock that leases count on was put ahead past the end of this one.
    LeaseJumped,
    /// It was a refusal, which could not be written down.
    Unwritten,
}

/// What explains that the token of this `call`, which `attempt` made, is sent again at that time; `None`: nothing does.
pub(super) fn excuse(
    faults: &Faults,
    call: &Asked,
    attempt: Option<&Attempt<'_>>,
    at: i64,
) -> Option<Excuse> {
    let lost = call.lost.then_some(Excuse::ReplyLost);
    let Some(attempt) = attempt else { return lost };
    match attempt.settled_by(at) {
        Some(How::Stored | How::Refused) => None,
        Some(How::Failed(reason)) => lost.or_else(|| {
            let settled = attempt.settled.map_or(at, |settled| settled.at);
            let gave_up = reason == "PROVIDER_UNAVAILABLE" && settled - attempt.from >= CALL;
            gave_up.then_some(Excuse::NobodyWaited)
        }),
        None => lost.or_else(|| unsettled(faults, call, attempt, at)),
    }
}

fn unsettled(faults: &Faults, call: &Asked, attempt: &Attempt<'_>, at: i64) -> Option<Excuse> {
    let killed = faults.writers(attempt.written).into_iter().any(|life| {
        // Its end is noted after it: whoever called was alive then. One that lives on stores what came, unless the database is away.
        let cut_off = |until| until - call.at <= CALL || faults.was_away(call.at, until);
        life.killed && life.until.is_some_and(|until| call.at <= until && until <= at && cut_off(until))
    });
    if killed {
        Some(Excuse::HolderKilled)
    } else if faults.jumped(attempt.from, at) >= LEASE {
        Some(Excuse::LeaseJumped)
    } else {
        let unwritten = call.answer == Answer::Refused && faults.was_away(call.at, call.at + CALL);
        unwritten.then_some(Excuse::Unwritten)
    }
}

/// Until when it may have called: it was settled then, or its process had ended.
pub(super) fn last_moment(faults: &Faults, attempt: &Attempt<'_>) -> i64 {
    let writers = faults.writers(attempt.written);
    let ends = writers.iter().map(|life| life.until.unwrap_or(i64::MAX)).max();
    let settled = attempt.settled.map_or(i64::MAX, |settled| settled.at);
    ends.unwrap_or(i64::MAX).min(settled)
}

impl Excuse {
    /// As a count speaks of such repeats.
    pub(super) fn name(self) -> &'static str {
        match self {
            Excuse::ReplyLost => "repeats after a lost reply",
            Excuse::HolderKilled => "repeats after a kill",
            Excuse::NobodyWaited => "repeats after nobody waited",
            Excuse::LeaseJumped => "repeats after a jump",
            Excuse::Unwritten => "repeats of a refusal that was not written",
        }
    }
}
