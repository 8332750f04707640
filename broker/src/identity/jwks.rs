//! The keys of one issuer, fetched and kept (ID7).
//!
//! Fetches are single-flight, at most one per interval whatever tokens arrive, and run to their end even when the
//! caller who caused them goes away. Ages are measured on the monotonic clock: setting the wall clock back does not
//! prolong a removed key's life.

use super::{
    Algorithm, Fetch, KeyTimes, TokenError,
    json::{self, Json},
    jwk::{DOCUMENT_LIMITS, MAX_DOCUMENT_BYTES},
    keys::{Key, KeySet},
};
use crate::{domain::Clock, metrics::Metrics};
use arc_swap::ArcSwapOption;
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use url::Url;

/// Where a fetch begins.
pub(super) enum Origin {
    /// Discovery for this `iss`.
    Issuer(String),
    /// The set itself.
    Jwks(Url),
}

/// Keys as loaded.
pub(super) struct Loaded {
    pub keys: KeySet,
    /// Grows whenever the keys change; what a remembered verification is bound to.
    pub generation: u64,
    at: Duration,
}

/// An issuer's keys.
pub(super) struct IssuerKeys {
    /// Where they are fetched from; `None` when they are fixed.
    remote: Option<Remote>,
    state: ArcSwapOption<Loaded>,
}

struct Remote {
    name: String,
    origin: Origin,
    algorithms: Vec<Algorithm>,
    times: KeyTimes,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    flight: Mutex<Flight>,
    /// Told after the keys are built.
    metrics: OnceLock<Metrics>,
}

#[derive(Default)]
struct Flight {
    /// Closed when the running fetch is over, however it ended.
    running: Option<watch::Receiver<()>>,
    not_before: Duration,
    /// Whether the last fetch failed.
    failed: bool,
}

impl IssuerKeys {
    pub fn fixed(keys: KeySet) -> Arc<Self> {
        let loaded = Loaded { keys, generation: 1, at: Duration::ZERO };
        Arc::new(Self { remote: None, state: ArcSwapOption::from_pointee(loaded) })
    }

    pub fn remote(
        name: &str,
        origin: Origin,
        algorithms: Vec<Algorithm>,
        times: KeyTimes,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let (flight, metrics) = (Mutex::default(), OnceLock::new());
        let remote =
            Remote { name: name.to_owned(), origin, algorithms, times, fetch, clock, flight, metrics };
        Arc::new(Self { remote: Some(remote), state: ArcSwapOption::empty() })
    }

    /// Counts fetches in these metrics from now on.
    pub fn metered(&self, metrics: &Metrics) {
        if let Some(remote) = &self.remote {
            let _ = remote.metrics.set(metrics.clone());
        }
    }

    /// Keys young enough to be believed, fetched first if there are none.
    pub async fn current(self: &Arc<Self>) -> Result<Arc<Loaded>, TokenError> {
        let Some(remote) = &self.remote else {
            return self.state.load_full().ok_or(TokenError::KeysUnavailable);
        };
        if let Some(loaded) = self.believable(remote) {
            if remote.age(&loaded) >= remote.times.refresh_after {
                // Not waited for: the keys at hand are good until their maximum age.
                drop(self.refresh());
            }
            return Ok(loaded);
        }
        self.refreshed().await;
        self.believable(remote).ok_or(TokenError::KeysUnavailable)
    }

    /// The key for a token's header, with one rate-limited fetch when its `kid` is unknown. Also the generation.
    pub async fn key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Key, u64), TokenError> {
        let loaded = self.current().await?;
        match loaded.keys.choose(kid, algorithm) {
            Err(TokenError::UnknownKey) if self.remote.is_some() => {
                self.refreshed().await;
                // Whoever fetched, and even if nobody did: another caller's fetch may have just ended.
                let loaded = self.current().await?;
                let chosen = loaded.keys.choose(kid, algorithm).map(|key| (key.clone(), loaded.generation));
                // While the issuer is down nobody can say that it has no such key.
                if self.is_failing() { chosen.map_err(|_| TokenError::KeysUnavailable) } else { chosen }
            }
            other => other.map(|key| (key.clone(), loaded.generation)),
        }
    }

    /// Whether [`Self::key`] will answer without a fetch, as far as can be told.
    pub fn has(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        let Some(remote) = &self.remote else { return true };
        let loaded = self.believable(remote);
        loaded
            .is_some_and(|loaded| !matches!(loaded.keys.choose(kid, algorithm), Err(TokenError::UnknownKey)))
    }

    /// The generation of the keys at hand, `None` when there are none or they are too old to be believed.
    pub fn generation(&self) -> Option<u64> {
        let loaded = match &self.remote {
            None => self.state.load_full(),
            Some(remote) => self.believable(remote),
        };
        loaded.map(|loaded| loaded.generation)
    }

    fn is_failing(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.flight().failed)
    }

    fn believable(&self, remote: &Remote) -> Option<Arc<Loaded>> {
        self.state.load_full().filter(|loaded| remote.age(loaded) < remote.times.max_age)
    }

    async fn refreshed(self: &Arc<Self>) {
        if let Some(mut done) = self.refresh() {
            // An error means the sender is gone: the fetch is over.
            while done.changed().await.is_ok() {}
        }
    }

    /// Joins the running fetch, or starts one if the interval allows.
    fn refresh(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        let Some(remote) = &self.remote else { return None };
        let mut flight = remote.flight();
        if let Some(running) = flight.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return Some(running.clone());
        }
        let now = remote.clock.monotonic();
        if now < flight.not_before {
            return None;
        }
        flight.not_before = now + remote.times.min_interval;
        let (running, done) = watch::channel(());
        flight.running = Some(done.clone());
        let this = Arc::clone(self);
        // A task of its own, so that a caller who gives up neither wastes the interval nor stops the others.
        tokio::spawn(async move {
            this.load().await;
            drop(running);
        });
        Some(done)
    }

    async fn load(&self) {
        let Some(remote) = &self.remote else { return };
        let fetched = remote.fetch_keys().await;
        if let Some(metrics) = remote.metrics.get() {
            metrics.key_fetch(&remote.name, fetched.is_ok());
        }
        match fetched {
            Ok(keys) => {
                let before = self.state.load_full();
                let generation = match &before {
                    None => 1,
                    Some(before) => before.generation + u64::from(before.keys != keys),
                };
                remote.flight().failed = false;
                self.state.store(Some(Arc::new(Loaded { keys, generation, at: remote.clock.monotonic() })));
            }
            Err(problem) => {
                tracing::warn!(issuer = remote.name, %problem, "the issuer's keys could not be fetched");
                let mut flight = remote.flight();
                flight.failed = true;
                flight.not_before = remote.clock.monotonic() + remote.times.retry_interval;
            }
        }
    }
}

impl Remote {
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn age(&self, loaded: &Loaded) -> Duration {
        self.clock.monotonic().saturating_sub(loaded.at)
    }

    async fn fetch_keys(&self) -> Result<KeySet, String> {
        let jwks_uri = match &self.origin {
            Origin::Jwks(url) => url.clone(),
            Origin::Issuer(issuer) => {
                let url = discovery_url(issuer).ok_or("the issuer is not an https URL")?;
                discovered_jwks_uri(&self.document(&url).await?, issuer)?
            }
        };
        let document = self.document(&jwks_uri).await?;
        KeySet::parse(&document, &self.algorithms).map_err(|e| format!("JWK set: {e}"))
    }

    async fn document(&self, url: &Url) -> Result<Vec<u8>, String> {
        let body = self.fetch.get_json(url, MAX_DOCUMENT_BYTES).await.map_err(|e| e.to_string())?;
        if body.len() > MAX_DOCUMENT_BYTES { Err("the answer is too large".to_owned()) } else { Ok(body) }
    }
}

/// Where an issuer's metadata lies (OpenID Connect Discovery §4.1); `None` when the issuer is no acceptable URL.
pub(super) fn discovery_url(issuer: &str) -> Option<Url> {
    let base = Url::parse(issuer).ok().filter(secure)?;
    if base.query().is_some() {
        return None;
    }
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer)))
        .ok()
}

fn discovered_jwks_uri(document: &[u8], issuer: &str) -> Result<Url, &'static str> {
    let metadata = json::read_object(document, DOCUMENT_LIMITS).map_err(|_| "the metadata is not JSON")?;
    match metadata.get("issuer") {
        Some(Json::String(named)) if named == issuer => {}
        _ => return Err("the metadata is another issuer's"),
    }
    match metadata.get("jwks_uri") {
        Some(Json::String(uri)) => {
            Url::parse(uri).ok().filter(secure).ok_or("the jwks_uri is not an https URL")
        }
        _ => Err("the metadata has no jwks_uri"),
    }
}

/// https, or http to this very machine; no user information, no fragment.
pub(super) fn secure(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    scheme && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}
