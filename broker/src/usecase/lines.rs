//! Signatures are checked in turns, so that whoever sends junk keeps nobody else out (AV1, AV4).
//!
//! What only costs a hash waits for nothing. Those whose signature was never good have a small share of the checks; senders of whom bad
//! ones keep coming, a smaller one. Nobody is refused for what others sent.

use super::{
    bucket::{Buckets, FAILURES},
    turns::{LATER, Turn, Turns},
};
use crate::{
    domain::{Clock, Reason, Refusal, Shares},
    identity::Cost,
};
use std::{sync::Arc, time::Duration};

/// Which part of the signatures at once is for strangers'.
const SHARE: usize = 16;
/// Which part of the calls at once may wait in one line: with all of them full, most calls are free.
const WAITING: usize = 8;

/// What is known about a token before its signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It was good once.
    Good,
    /// Who sent it has shown who they are.
    Sent,
    /// Nothing.
    Unknown,
}

/// Where to wait for a signature check.
pub struct Lines {
    known: Turns,
    unknown: Turns,
    /// The same from those who keep sending bad ones.
    suspect: Turns,
    /// Those that first wait for an issuer's keys, and must not keep waiting who needs none: a line for each issuer.
    fetching: Vec<Turns>,
    /// How these lines share what may wait in them together: one alone gets as much as it has room for.
    fetches: Shares<usize>,
    /// How often bad ones came from a sender.
    failures: Buckets,
}

impl Lines {
    /// `at_once` checks in a line, where `calls` are served at once and tokens come of so many `issuers`.
    pub fn new(at_once: usize, calls: usize, issuers: usize, clock: Arc<dyn Clock>) -> Self {
        let waiting = calls / WAITING;
        Self {
            known: Turns::new(at_once, calls),
            unknown: Turns::new(at_once / SHARE, waiting),
            suspect: Turns::new(1, waiting),
            fetching: (0..issuers.max(1)).map(|_| Turns::new(at_once, waiting)).collect(),
            fetches: Shares::new(at_once.saturating_add(waiting).saturating_mul(2)),
            failures: Buckets::new(clock, 100_000),
        }
    }

    /// Waits for a turn at most `left`; `None` where none is needed.
    ///
    /// # Errors
    /// [`Reason::Overloaded`](crate::domain::Reason): too many wait there, or for too long.
    pub async fn turn(
        &self,
        cost: Cost,
        standing: Standing,
        sender: [u8; 32],
        left: Duration,
    ) -> Result<Option<Turn<'_>>, Refusal> {
        let line = match (cost, standing) {
            (Cost::Hash, _) => return Ok(None),
            (Cost::Fetch(issuer), _) => return self.fetch(issuer, left).await.map(Some),
            (_, Standing::Good) => &self.known,
            (Cost::Signature, _) if self.failures.wait(sender, FAILURES).is_some() => &self.suspect,
            (Cost::Signature, Standing::Sent) => &self.known,
            (Cost::Signature, Standing::Unknown) => &self.unknown,
        };
        line.take(left).await.map(Some)
    }

    async fn fetch(&self, issuer: usize, left: Duration) -> Result<Turn<'_>, Refusal> {
        let issuer = issuer % self.fetching.len();
        let share = self.fetches.take(&issuer);
        let share = share.ok_or_else(|| Refusal::new(Reason::Overloaded).retry_after(LATER))?;
        Ok(self.fetching[issuer].take(left).await?.with(share))
    }

    /// A bad one came from `sender`.
    pub fn failed(&self, sender: [u8; 32]) {
        // Empty or not makes no difference to this one: it is refused anyway.
        let _ = self.failures.take(sender, FAILURES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ManualClock, Timestamp},
        usecase::bucket::bucket_key,
    };
    use futures::FutureExt;

    const LONG: Duration = Duration::from_secs(3600);

    /// Proves: AV1, AV4
    #[tokio::test]
    async fn av4_who_keeps_sending_bad_signatures_waits_apart_and_nobody_waits_for_them() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        let lines = Lines::new(2, 16, 2, clock.clone());
        let [bad, other] = ["bad", "other"].map(|name| bucket_key("assertions", Some(name), None));
        for _ in 0..FAILURES.burst {
            lines.failed(bad);
        }
        let turn = |cost, standing, sender| lines.turn(cost, standing, sender, LONG).now_or_never();
        let held = turn(Cost::Signature, Standing::Sent, bad).unwrap().unwrap();
        assert!(turn(Cost::Signature, Standing::Sent, bad).is_none(), "one at a time");
        assert!(turn(Cost::Hash, Standing::Sent, bad).unwrap().unwrap().is_none(), "nothing to wait for");
        let both = [other; 2].map(|sender| turn(Cost::Signature, Standing::Sent, sender).unwrap().unwrap());
        assert!(turn(Cost::Signature, Standing::Good, other).is_none(), "two at once of those who are known");
        let _unknown = turn(Cost::Signature, Standing::Unknown, other).unwrap().unwrap();
        let _fetching = [Standing::Sent, Standing::Good]
            .map(|standing| turn(Cost::Fetch(0), standing, bad).unwrap().unwrap());
        drop((held, both));
        // It is forgiven with time.
        clock.advance(Duration::from_secs(10));
        let _first = turn(Cost::Signature, Standing::Sent, bad).unwrap().unwrap();
        let _second = turn(Cost::Signature, Standing::Sent, bad).unwrap().unwrap();
    }

    /// Proves: AV1, AV4
    #[tokio::test]
    async fn av4_an_issuer_that_hangs_keeps_no_other_issuers_tokens_waiting() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        let lines = Lines::new(2, 16, 3, clock);
        let sender = bucket_key("assertions", None, None);
        let turn = |issuer| Box::pin(lines.turn(Cost::Fetch(issuer), Standing::Sent, sender, LONG));
        let hung = [turn(0).await.unwrap(), turn(0).await.unwrap()];
        let mut waiting: Vec<_> = std::iter::repeat_with(|| turn(0)).take(2).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending(), "two at once of the one that hangs");
        }
        let full = turn(0).now_or_never().and_then(Result::err).unwrap();
        assert_eq!((full.reason, full.retry_after), (Reason::Overloaded, Some(LATER)));
        let other = turn(1).now_or_never().unwrap().unwrap();
        // A second that hangs leaves room for a third.
        let _second: Vec<_> = std::iter::from_fn(|| turn(1).now_or_never()?.ok()).take(8).collect();
        assert!(turn(2).now_or_never().unwrap().is_ok());
        drop((hung, other));
        assert!(waiting.remove(0).now_or_never().unwrap().is_ok(), "in their order");
    }
}
