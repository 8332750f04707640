//! Several grants at once: what is remembered, and one request for the rest.

use super::flights::{self, Landing, Pilot};
use super::key::Key;
use super::{Inner, REFRESH_PAUSE, State, TokenSource};
use crate::{BatchOutcome, BatchRequest, Error, Grant};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// Most items that the broker takes in one batch.
const MOST: usize = 16;

/// What is asked for at once: the request, and the key of each of its items.
struct Order {
    request: BatchRequest,
    keys: Vec<Key>,
}

impl TokenSource {
    /// All grants of this batch, remembered or fresh, or what is missing for it. What is not remembered is asked for by one
    /// request, however many ask at the same time; each grant is remembered by itself, and answers for the same request to
    /// [`grant`](Self::grant) as well. The batch's own request id is not used. Needs a tokio runtime.
    ///
    /// With an issuer whose assertions are good for one grant or one batch, ask by one batch for all that one assertion is to bring.
    /// Where a part of it is remembered, that part has used the assertion: the answer is `ASSERTION_REPLAYED`
    /// ([`Error::Assertion`]), and what is remembered stays. Asking for all of it again could not help; for a fresh assertion
    /// nothing is remembered yet, so that all of it is asked for at once.
    ///
    /// # Errors
    /// As [`Client::batch_issue_grants`](crate::Client::batch_issue_grants).
    pub async fn grants(&self, request: &BatchRequest) -> Result<BatchOutcome, Error> {
        let keys: Vec<Key> = request.requests().map(|item| Key::of(&item)).collect();
        let twice = keys.iter().collect::<HashSet<_>>().len() < keys.len();
        if twice || !(1..=MOST).contains(&keys.len()) {
            // The broker's own answer to it; nothing of it could be remembered.
            return self.inner.client.batch_issue_grants(&request.part(&all(&keys))).await;
        }
        let (found, landing) = self.inner.look(request, &keys);
        let missing = indices(&found, Option::is_none);
        let Some(landing) = landing else {
            return Ok(BatchOutcome::Grants(found.into_iter().flatten().collect()));
        };
        match flights::wait(landing).await? {
            BatchOutcome::ConsentRequired(mut required) => {
                let mut items = vec![None; keys.len()];
                for (index, item) in missing.into_iter().zip(required.items) {
                    items[index] = item;
                }
                required.items = items;
                Ok(BatchOutcome::ConsentRequired(required))
            }
            BatchOutcome::Grants(fresh) => match self.inner.together(&keys, found, fresh) {
                Some(grants) => Ok(BatchOutcome::Grants(grants)),
                // What was remembered was given up meanwhile: all of it anew.
                None => {
                    let landing = self.inner.order(&mut self.inner.lock(), request, &keys, &all(&keys));
                    flights::wait(landing).await
                }
            },
        }
    }
}

impl Inner {
    /// What is remembered of each item; and, where something is missing, what was sent for.
    fn look(
        self: &Arc<Self>,
        request: &BatchRequest,
        keys: &[Key],
    ) -> (Vec<Option<Grant>>, Option<Landing<BatchOutcome>>) {
        let mut state = self.lock();
        let hits: Vec<_> = keys.iter().map(|key| self.remembered(&mut state, key)).collect();
        let missing = indices(&hits, Option::is_none);
        let landing = if missing.is_empty() {
            // Nobody waits for these.
            let due = indices(&hits, |hit| hit.as_ref().is_some_and(|hit| hit.refresh));
            if !due.is_empty() && !state.one_time.knows(request.assertion()) {
                self.order(&mut state, request, keys, &due);
            }
            None
        } else {
            Some(self.order(&mut state, request, keys, &missing))
        };
        (hits.into_iter().map(|hit| hit.map(|hit| hit.grant)).collect(), landing)
    }

    /// Has these items asked for, unless exactly these are on their way already.
    fn order(
        self: &Arc<Self>,
        state: &mut State,
        request: &BatchRequest,
        keys: &[Key],
        items: &[usize],
    ) -> Landing<BatchOutcome> {
        let order =
            Order { request: request.part(items), keys: items.iter().map(|item| keys[*item]).collect() };
        let key = Key::of_all(order.keys.iter().copied());
        state.batches.get(&key).unwrap_or_else(|| {
            let (number, pilot, landing) = state.batches.start(key);
            // In the trace of whoever asked first.
            tokio::spawn(fly(Arc::clone(self), key, number, order, pilot).in_current_span());
            landing
        })
    }

    /// What was remembered and what came, in the order of the items; `None` when something remembered was given up since.
    fn together(&self, keys: &[Key], found: Vec<Option<Grant>>, fresh: Vec<Grant>) -> Option<Vec<Grant>> {
        let mut state = self.lock();
        let mut fresh = fresh.into_iter();
        let mut grants = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(found) {
            grants.push(match found {
                Some(_) => self.remembered(&mut state, key)?.grant,
                None => fresh.next()?,
            });
        }
        Some(grants)
    }

    fn settle_all(
        &self,
        key: Key,
        number: u64,
        order: &Order,
        result: &Result<BatchOutcome, Error>,
        asked_at: Duration,
    ) {
        let mut state = self.lock();
        if !state.batches.land(&key, number) {
            return;
        }
        let at = self.clock.monotonic();
        match result {
            Ok(BatchOutcome::Grants(grants)) => {
                for (key, grant) in order.keys.iter().zip(grants) {
                    state.cache.put(*key, grant.clone(), &self.settings, self.clock.now(), asked_at);
                }
            }
            Ok(BatchOutcome::ConsentRequired(required)) => {
                let missing = order.keys.iter().zip(&required.items).filter(|(_, item)| item.is_some());
                missing.for_each(|(key, _)| state.cache.remove(key));
            }
            Err(error) if error.keeps_authority() => {
                let until = at + error.retry_after().unwrap_or(REFRESH_PAUSE);
                order.keys.iter().for_each(|key| state.cache.postpone(key, until));
            }
            Err(error) if error.is_replayed() => state.used_up(&order.keys, order.request.assertion()),
            // It does not say which of them it is about.
            Err(_) => order.keys.iter().for_each(|key| state.cache.remove(key)),
        }
    }
}

/// In a task of its own, so that a caller who goes away takes nobody else's answer along.
async fn fly(inner: Arc<Inner>, key: Key, number: u64, order: Order, pilot: Pilot<BatchOutcome>) {
    let asked_at = inner.clock.monotonic();
    let result = inner.client.batch_issue_grants(&order.request).await;
    if let Err(error) = &result {
        tracing::debug!(reason = error.reason(), "the broker gave no grants");
    }
    inner.settle_all(key, number, &order, &result, asked_at);
    pilot.send_replace(Some(result));
}

fn all(keys: &[Key]) -> Vec<usize> {
    (0..keys.len()).collect()
}

fn indices<T>(of: &[T], such: impl Fn(&T) -> bool) -> Vec<usize> {
    of.iter().enumerate().filter(|(_, one)| such(one)).map(|(index, _)| index).collect()
}

#[cfg(test)]
impl TokenSource {
    /// Waits, from a test, until these items of a batch are on their way.
    pub(crate) async fn batch_under_way(&self, request: &BatchRequest, items: &[usize]) {
        while self.batch_flight(request, items).is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits, from a test, until they are not (any more).
    pub(crate) async fn batch_landed(&self, request: &BatchRequest, items: &[usize]) {
        while self.batch_flight(request, items).is_some() {
            tokio::task::yield_now().await;
        }
    }

    /// Whether they are.
    pub(crate) fn batch_is_under_way(&self, request: &BatchRequest, items: &[usize]) -> bool {
        self.batch_flight(request, items).is_some()
    }

    fn batch_flight(&self, request: &BatchRequest, items: &[usize]) -> Option<Landing<BatchOutcome>> {
        let part = request.part(items);
        let keys = part.requests().map(|item| Key::of(&item));
        self.inner.lock().batches.get(&Key::of_all(keys))
    }
}
