//! Open loop: calls arrive at a fixed rate, however the server is doing. A latency begins when its call was due, not when
//! it could be sent: a server that stalls cannot hide the calls it kept from being made (coordinated omission).

use super::{Line, Tally};
use crate::call::Deck;
use broker::domain::Clock;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::task::TaskTracker;

/// How often due calls are sent. A fraction of the latencies that matter under overload.
const TICK: Duration = Duration::from_millis(1);

/// Sends `rate` calls a second for `span`, each with `patience` as its deadline, and waits for every answer.
pub async fn open(
    clock: &Arc<dyn Clock>,
    line: &Line,
    deck: &Arc<Deck>,
    rate: f64,
    span: Duration,
    patience: Duration,
) -> Tally {
    let tallies = open_by(span, clock, line, deck, rate, span, patience).await;
    let mut whole = Tally::default();
    for tally in tallies {
        whole.span += tally.span;
        whole.add(tally);
    }
    whole
}

/// The same, counted by when calls were due, in slices of a length each; the last one takes what is left.
pub async fn open_by(
    slice: Duration,
    clock: &Arc<dyn Clock>,
    line: &Line,
    deck: &Arc<Deck>,
    rate: f64,
    span: Duration,
    patience: Duration,
) -> Vec<Tally> {
    let slices = (span.as_secs_f64() / slice.as_secs_f64()).max(1.0) as usize;
    let tallies = Arc::new(Mutex::new(vec![Tally::over(slice); slices]));
    let under_way = TaskTracker::new();
    let began = clock.monotonic();
    let mut sent = 0_usize;
    loop {
        let passed = clock.monotonic().saturating_sub(began);
        let due = (passed.min(span).as_secs_f64() * rate) as usize;
        for n in sent..due {
            let after = Duration::from_secs_f64(n as f64 / rate);
            let intended = began + after;
            let number = ((after.as_secs_f64() / slice.as_secs_f64()) as usize).min(slices - 1);
            let (clock, line, deck) = (Arc::clone(clock), line.clone(), Arc::clone(deck));
            let tallies = Arc::clone(&tallies);
            under_way.spawn(async move {
                let Some(call) = deck.draw() else { return };
                let mut request = call.request();
                request.set_timeout(patience);
                let answer = line.client(n).issue_grant(request).await;
                let took = clock.monotonic().saturating_sub(intended);
                tallies.lock().unwrap_or_else(PoisonError::into_inner)[number].count(&answer, took);
            });
        }
        sent = due;
        if passed >= span {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    under_way.close();
    under_way.wait().await;
    let mut tallies = std::mem::take(&mut *tallies.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(last) = tallies.last_mut() {
        // To the last answer: what was answered late is not counted as if it had been in time.
        last.span = clock.monotonic().saturating_sub(began + slice * (slices as u32 - 1));
    }
    tallies
}
