//! What replicas tell each other through Redis or Valkey, to be quicker (AV3). Nothing depends on it.
//!
//! Three things: *look again* at a connection or a consent (sealed, so that Redis neither reads nor writes one), calls counted for all
//! replicas together (under names that tell nothing), and a heartbeat that shows whether any of it arrives. No decision, no secret and
//! no `jti` ever goes there, and nothing that comes from there allows anything: a word heard means that the database is read once more,
//! a count means that a caller waits, for a bounded time. Whoever holds a token that is good never comes near it.
//!
//! Without the cargo feature `redis`, and without the section, every answer is "nothing heard" and "no objection".

#[cfg(feature = "redis")]
mod budget;
#[cfg(feature = "redis")]
mod counter;
mod heard;
#[cfg(feature = "redis")]
mod ledger;
#[cfg(feature = "redis")]
mod link;
#[cfg(feature = "redis")]
mod message;
#[cfg(feature = "redis")]
mod wire;

pub use heard::Heard;

use crate::{
    config::Redis,
    domain::{Clock, ConnectionId, ConsentId, Rate, Rng},
    keys::KeyRing,
    metrics::Metrics,
    net::NetError,
    storage::Store,
};
use std::{sync::Arc, time::Duration};

/// What changed, according to another replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// A connection's tokens, or who refreshes them.
    Connection(ConnectionId),
    /// A consent.
    Consent(ConsentId),
    /// Nobody knows: the way here was interrupted.
    Anything,
}

/// This replica's end. Clones are the same one; it is connected for as long as one of them lives.
#[derive(Clone, Default)]
pub struct Relay {
    #[cfg(feature = "redis")]
    link: Option<Arc<link::Link>>,
    #[cfg(feature = "redis")]
    _task: Option<Arc<tokio_util::task::AbortOnDropHandle<()>>>,
}

/// What a relay works with.
pub struct Parts {
    /// Seals.
    pub keys: Arc<KeyRing>,
    /// Judges certificates.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Told whether it works.
    pub metrics: Metrics,
}

#[cfg(feature = "redis")]
impl Relay {
    /// Connects, and goes on connecting. `heard` is told of what other replicas changed.
    ///
    /// # Errors
    /// A CA file that cannot be used.
    pub fn start(
        settings: &Redis,
        parts: Parts,
        heard: impl Fn(&Changed) + Send + Sync + 'static,
    ) -> Result<Self, NetError> {
        let (link, task) = link::Link::start(settings, parts, Box::new(heard))?;
        Ok(Self { link: Some(link), _task: Some(Arc::new(task)) })
    }

    /// The store with a ledger that tells other replicas what it commits.
    pub fn telling(&self, store: Store) -> Store {
        match &self.link {
            Some(link) => ledger::telling(store, Arc::clone(link)),
            None => store,
        }
    }
}

/// A build without Redis; the configuration refuses the section.
#[cfg(not(feature = "redis"))]
impl Relay {
    /// None.
    ///
    /// # Errors
    /// None; the same shape as with Redis.
    pub fn start(
        _settings: &Redis,
        _parts: Parts,
        _heard: impl Fn(&Changed) + Send + Sync + 'static,
    ) -> Result<Self, NetError> {
        Ok(Self::none())
    }

    /// The same store.
    pub fn telling(&self, store: Store) -> Store {
        store
    }
}

impl Relay {
    /// None: replicas look into the database.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether what other replicas say arrives, as far as is known.
    pub fn works(&self) -> bool {
        #[cfg(feature = "redis")]
        if let Some(link) = &self.link {
            return link.works();
        }
        false
    }

    /// What is heard from now on.
    pub fn hear(&self) -> Heard {
        #[cfg(feature = "redis")]
        if let Some(link) = &self.link {
            return Heard::of(link.hear());
        }
        Heard::nothing()
    }

    /// Counts a call of `caller` (a digest) for all replicas. `Some` = it is to wait so long, as far as the others know; bounded by the time
    /// in which a bucket of its size fills.
    pub async fn count(&self, caller: &[u8; 32], rate: Rate) -> Option<Duration> {
        #[cfg(feature = "redis")]
        if let Some(link) = &self.link {
            return link.count(caller, rate).await;
        }
        let _ = (caller, rate);
        None
    }
}
