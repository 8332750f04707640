//! Closed loop: so many callers, each of whom asks again as soon as it is answered.

use super::{Line, Tally};
use crate::{Fault, call::Deck};
use broker::domain::Clock;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// For `warm_up`, which does not count, and then for `span`.
    Over {
        /// Not counted.
        warm_up: Duration,
        /// Counted.
        span: Duration,
    },
    /// Until every call of the deck was made once.
    Empty,
}

/// Runs `in_flight` callers over `line`.
///
/// # Errors
/// When a caller panics.
pub async fn closed(
    clock: &Arc<dyn Clock>,
    line: &Line,
    deck: &Arc<Deck>,
    in_flight: usize,
    until: Until,
) -> Result<Tally, Fault> {
    let began = clock.monotonic();
    let mut callers = JoinSet::new();
    for n in 0..in_flight {
        callers.spawn(caller(Arc::clone(clock), line.clone(), n, Arc::clone(deck), began, until));
    }
    let mut tally = Tally::default();
    while let Some(counted) = callers.join_next().await {
        tally.add(counted?);
    }
    tally.span = match until {
        Until::Over { span, .. } => span,
        Until::Empty => clock.monotonic().saturating_sub(began),
    };
    Ok(tally)
}

async fn caller(
    clock: Arc<dyn Clock>,
    line: Line,
    n: usize,
    deck: Arc<Deck>,
    began: Duration,
    until: Until,
) -> Tally {
    let mut client = line.client(n);
    let mut tally = Tally::default();
    let (from, to) = match until {
        Until::Over { warm_up, span } => (began + warm_up, began + warm_up + span),
        Until::Empty => (began, Duration::MAX),
    };
    loop {
        let sent = clock.monotonic();
        let drawn = match until {
            Until::Over { .. } if sent >= to => None,
            Until::Over { .. } => deck.draw(),
            Until::Empty => deck.draw_once(),
        };
        let Some(call) = drawn else { return tally };
        let answer = client.issue_grant(call.request()).await;
        let answered = clock.monotonic();
        // Counted by when it was answered: what was under way at either end counts once.
        if answered >= from && answered < to {
            tally.count(&answer, answered.saturating_sub(sent));
        }
    }
}
