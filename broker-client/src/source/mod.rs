//! The upper floor: grants remembered for a short while.

mod batch;
mod cache;
mod flights;
mod key;
mod one_time;
mod settings;

pub use settings::TokenSourceBuilder;

use crate::{Assertion, BatchOutcome, Client, Clock, Error, Grant, GrantRequest, Outcome};
use cache::{Cache, Hit};
use flights::{Flights, Pilot};
use key::Key;
use one_time::OneTime;
use settings::Settings;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::Instrument as _;

/// Pause after an early refresh that failed, when the broker named none.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// Gives grants, remembering each for a short while. Cheap to clone; clones share what is remembered.
///
/// - A remembered grant answers only for the same assertion, provider, set of scopes, connection, resource, ttl, tool and
///   purpose; the order of scopes does not matter.
/// - It is handed out for at most 60 s (see [`TokenSourceBuilder::max_age`]) and never up to its end. A revocation at the broker
///   therefore reaches a tool within that time; a token already in a tool's hands lives until its `token_expire_time` or
///   until the provider revokes it.
/// - However many ask at the same time, one request goes to the broker, and it does not stop when a caller goes away.
/// - Several grants for one tool are asked for by one request, too, whichever of them are not remembered ([`grants`](Self::grants)).
/// - Its successor is fetched in the background shortly before it goes stale. If the broker says no then, the remembered
///   grant is dropped at once; if the broker cannot be reached, it is used up to its time.
/// - With an issuer whose assertions are good for one grant (`one_time_assertions` at the broker), each request that is not
///   remembered yet, and each that has gone stale, needs a fresh assertion. An early refresh is refused with `ASSERTION_REPLAYED`
///   then; the remembered grant is used up to its time all the same, and no successor is fetched early for that issuer any more.
/// - A missing consent and a failure are never remembered.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    clock: Arc<dyn Clock>,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    flights: Flights<Outcome>,
    /// Those that bring several grants; their keys are of all of these.
    batches: Flights<BatchOutcome>,
    one_time: OneTime,
}

impl TokenSource {
    /// A source with the default bounds.
    pub fn new(client: Client) -> Self {
        Self::start(client, Settings::default())
    }

    /// Starts the description of a source.
    pub fn builder(client: Client) -> TokenSourceBuilder {
        TokenSourceBuilder::new(client)
    }

    fn start(client: Client, settings: Settings) -> Self {
        let clock = client.clock();
        Self { inner: Arc::new(Inner { client, clock, settings, state: Mutex::default() }) }
    }

    /// A grant for this request, remembered or fresh, or the consent that is missing. Needs a tokio runtime.
    ///
    /// # Errors
    /// As [`Client::issue_grant`].
    pub async fn grant(&self, request: &GrantRequest) -> Result<Outcome, Error> {
        let key = Key::of(request);
        let landing = {
            let mut state = self.inner.lock();
            match self.inner.remembered(&mut state, &key) {
                Some(hit) => {
                    let due = hit.refresh && !state.one_time.knows(&request.assertion);
                    if due && state.flights.get(&key).is_none() {
                        self.inner.launch(&mut state, key, request);
                    }
                    return Ok(Outcome::Grant(hit.grant));
                }
                None => {
                    state.flights.get(&key).unwrap_or_else(|| self.inner.launch(&mut state, key, request))
                }
            }
        };
        flights::wait(landing).await
    }

    /// Call this when the provider refused the token (HTTP 401): the grant is forgotten, wherever it is remembered, and the
    /// next call asks the broker. The broker does not learn of the refusal, and may answer with the same token until that is
    /// near its end.
    pub fn rejected(&self, grant: &Grant) {
        let mut state = self.inner.lock();
        for key in state.cache.reject(grant) {
            // A refresh under way may bring the same token.
            state.flights.disown(&key);
        }
        // One of these may as well, whatever it was asked for.
        state.batches.disown_all();
    }

    /// The client it asks.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut state = self.inner.lock();
        state.cache = Cache::default();
        state.one_time = OneTime::default();
        state.flights.disown_all();
        state.batches.disown_all();
    }
}

#[cfg(test)]
impl TokenSource {
    /// Waits, from a test, for the request under way for this key.
    pub(crate) fn under_way(
        &self,
        request: &GrantRequest,
    ) -> Option<impl Future<Output = Result<Outcome, Error>> + use<>> {
        self.inner.lock().flights.get(&Key::of(request)).map(flights::wait)
    }

    /// Whether no early refresh is tried with this assertion.
    pub(crate) fn knows_one_time(&self, assertion: &Assertion) -> bool {
        self.inner.lock().one_time.knows(assertion)
    }
}

impl State {
    /// The assertion of these was good for one request, which brought what is remembered: that stays for its time, and asking
    /// again with the same one (it is part of the key) is of no use.
    fn used_up(&mut self, keys: &[Key], assertion: &Assertion) {
        self.one_time.learn(assertion);
        keys.iter().for_each(|key| self.cache.postpone(key, Duration::MAX));
    }
}

impl Inner {
    fn remembered(&self, state: &mut State, key: &Key) -> Option<Hit> {
        state.cache.get(key, &self.settings, self.clock.now(), self.clock.monotonic())
    }

    /// Asks the broker in a task of its own, so that a caller who goes away takes nobody else's answer along.
    fn launch(
        self: &Arc<Self>,
        state: &mut State,
        key: Key,
        request: &GrantRequest,
    ) -> flights::Landing<Outcome> {
        let (number, pilot, landing) = state.flights.start(key);
        let mut request = request.clone();
        request.request_id = None;
        // In the trace of whoever asked first.
        tokio::spawn(fly(Arc::clone(self), key, number, request, pilot).in_current_span());
        landing
    }

    fn settle(
        &self,
        key: Key,
        number: u64,
        assertion: &Assertion,
        result: &Result<Outcome, Error>,
        asked_at: Duration,
    ) {
        let mut state = self.lock();
        if !state.flights.land(&key, number) {
            return;
        }
        let at = self.clock.monotonic();
        match result {
            Ok(Outcome::Grant(grant)) => {
                // Age counts from the question: a revocation may have been acknowledged just after the answer was decided.
                state.cache.put(key, grant.clone(), &self.settings, self.clock.now(), asked_at);
            }
            Err(error) if error.keeps_authority() => {
                state.cache.postpone(&key, at + error.retry_after().unwrap_or(REFRESH_PAUSE));
            }
            Err(error) if error.is_replayed() => state.used_up(&[key], assertion),
            Ok(Outcome::ConsentRequired(_)) | Err(_) => state.cache.remove(&key),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fly(inner: Arc<Inner>, key: Key, number: u64, request: GrantRequest, pilot: Pilot<Outcome>) {
    let asked_at = inner.clock.monotonic();
    let result = inner.client.issue_grant(&request).await;
    if let Err(error) = &result {
        tracing::debug!(reason = error.reason(), "the broker gave no grant");
    }
    inner.settle(key, number, &request.assertion, &result, asked_at);
    pilot.send_replace(Some(result));
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.inner.lock().cache.len();
        f.debug_struct("TokenSource").field("remembered", &remembered).finish_non_exhaustive()
    }
}
