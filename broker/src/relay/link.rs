//! The way to the other replicas: connects, says, hears, and notices when nothing arrives any more.

use super::{
    Changed, Parts,
    budget::Budget,
    counter,
    message::{Message, Name},
    wire::{Asking, Wire, WireError},
};
use crate::{
    config,
    domain::{Rate, Rng},
    keys::KeyRing,
    metrics::Metrics,
    net::NetError,
};
use arc_swap::ArcSwapOption;
use futures::{FutureExt, StreamExt};
use redis::{Msg, aio::MultiplexedConnection};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Pause before the connection is made anew.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// How long that may take, and how long the server may take for one command.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is not said again that Redis does not work.
const QUIET: Duration = Duration::from_secs(60);
/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// So many of one's own not heard in a row: nothing arrives.
const MISSED: u32 = 3;
/// Words that a slow waiter may fall behind by before it must read again, and that may wait to be said.
const BACKLOG: usize = 1024;
/// Most processes whose numbering is remembered.
const SPEAKERS: u64 = 1024;

/// This replica's end of it.
pub(super) struct Link {
    wire: Wire,
    channel: String,
    prefix: String,
    keys: Arc<KeyRing>,
    rng: Arc<dyn Rng>,
    metrics: Metrics,
    name: Name,
    spoken: AtomicU64,
    /// The newest number heard of each process, so that nothing is heard twice.
    speakers: moka::sync::Cache<Name, u64>,
    heard: broadcast::Sender<Changed>,
    on_heard: Box<dyn Fn(&Changed) + Send + Sync>,
    to_say: mpsc::Sender<Changed>,
    /// There once a heartbeat came back.
    asking: ArcSwapOption<Asking>,
    /// Somebody had no answer over this connection.
    broken: Notify,
}

impl Link {
    pub(super) fn start(
        settings: &config::Redis,
        parts: Parts,
        on_heard: Box<dyn Fn(&Changed) + Send + Sync>,
    ) -> Result<(Arc<Self>, AbortOnDropHandle<()>), NetError> {
        let Parts { keys, clock, rng, metrics } = parts;
        let mut name = [0; 16];
        rng.fill(&mut name);
        let (to_say, said) = mpsc::channel(BACKLOG);
        let link = Arc::new(Self {
            wire: Wire::new(settings, clock)?,
            channel: format!("{}:changed", settings.prefix),
            prefix: settings.prefix.clone(),
            keys,
            rng,
            metrics,
            name,
            spoken: AtomicU64::new(0),
            speakers: moka::sync::Cache::new(SPEAKERS),
            heard: broadcast::Sender::new(BACKLOG),
            on_heard,
            to_say,
            asking: ArcSwapOption::empty(),
            broken: Notify::new(),
        });
        link.metrics.health("redis", false);
        let task = tokio::spawn(Arc::clone(&link).run(said));
        Ok((link, AbortOnDropHandle::new(task)))
    }

    pub(super) fn works(&self) -> bool {
        self.asking.load().is_some()
    }

    pub(super) fn hear(&self) -> broadcast::Receiver<Changed> {
        self.heard.subscribe()
    }

    /// Without waiting: what there is no room for is not said, and those who wait for it look by themselves.
    pub(super) fn say(&self, changed: Changed) {
        let _ = self.to_say.try_send(changed);
    }

    pub(super) async fn count(&self, caller: &[u8; 32], rate: Rate) -> Option<Duration> {
        // Where nothing arrives, nobody waits for it.
        let asking = self.asking.load_full()?;
        let name = counter::name(&self.prefix, &self.keys, caller);
        match counter::ask(asking.connection.clone(), &name, rate).await {
            Ok(wait) => wait,
            Err(counter::Lost) => {
                // Nobody else asks over it. Of several whose answer does not come the first ends the connection, and none the next one.
                let before = self.asking.compare_and_swap(&asking, None);
                if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &asking)) {
                    self.broken.notify_one();
                }
                None
            }
        }
    }

    async fn run(self: Arc<Self>, mut said: mpsc::Receiver<Changed>) {
        let mut told = false;
        // A server that works and fails in turn fills no log: a minute after it was said that it does not work, it may be said again.
        let mut quiet = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            let Err(error) = self.session(&mut said, &mut told).await;
            let worked = self.asking.swap(None).is_some();
            self.metrics.health("redis", false);
            if worked {
                // Whoever relied on being told looks by themselves from now on.
                self.pass_on(&Changed::Anything);
            }
            if !told && quiet.as_mut().now_or_never().is_some() {
                quiet.set(tokio::time::sleep(QUIET));
                tracing::warn!(%error, "Redis does not work; replicas look into the database, and count calls for themselves");
                told = true;
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    /// Ends at the first thing that goes wrong.
    async fn session(
        &self,
        said: &mut mpsc::Receiver<Changed>,
        told: &mut bool,
    ) -> Result<std::convert::Infallible, WireError> {
        let budget = Budget::default();
        let connected = async {
            let listening = self.wire.listening(&budget, &self.channel).await?;
            Ok::<_, WireError>((listening, Arc::new(self.wire.asking(&budget).await?)))
        };
        let (listening, asking) =
            tokio::time::timeout(PATIENCE, connected).await.map_err(|_| WireError::Slow)??;
        let (_sink, mut words) = listening.split();
        // What was to be said meanwhile is old, and so is what was wrong with the connection before.
        let _ = self.broken.notified().now_or_never();
        while said.try_recv().is_ok() {}
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut missed = 0;
        loop {
            tokio::select! {
                word = words.next() => {
                    let own = self.heard(&word.ok_or(WireError::Ended)?);
                    if own {
                        missed = 0;
                        self.came_back(&asking, told);
                    }
                }
                Some(changed) = said.recv() => self.publish(&asking.connection, Some(changed)).await?,
                () = self.broken.notified() => return Err(WireError::Slow),
                _ = beat.tick() => {
                    if missed == MISSED {
                        return Err(WireError::Deaf);
                    }
                    missed += 1;
                    budget.renew();
                    self.publish(&asking.connection, None).await?;
                }
            }
        }
    }

    fn came_back(&self, asking: &Arc<Asking>, told: &mut bool) {
        if self.works() {
            return;
        }
        self.asking.store(Some(Arc::clone(asking)));
        self.metrics.health("redis", true);
        if std::mem::take(told) {
            tracing::info!("Redis works again");
        }
    }

    async fn publish(&self, to: &MultiplexedConnection, changed: Option<Changed>) -> Result<(), WireError> {
        let number = self.spoken.fetch_add(1, Ordering::Relaxed) + 1;
        let message = Message { from: self.name, number, changed };
        let sealed = message.seal(self.keys.relay(), &*self.rng, &self.channel);
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(sealed);
        let mut to = to.clone();
        let published = tokio::time::timeout(PATIENCE, command.query_async::<redis::Value>(&mut to)).await;
        published.map_err(|_| WireError::Slow)?.map(drop).map_err(WireError::from)
    }

    /// Whether it was one's own.
    fn heard(&self, word: &Msg) -> bool {
        let opened = Message::open(self.keys.relay(), &self.channel, word.get_payload_bytes());
        let Some(message) = opened else { return false };
        // Redis keeps the order of what one connection says: an older number was heard before.
        if self.speakers.get(&message.from).is_some_and(|newest| message.number <= newest) {
            return false;
        }
        self.speakers.insert(message.from, message.number);
        if message.from == self.name {
            return true;
        }
        if let Some(changed) = message.changed {
            self.pass_on(&changed);
        }
        false
    }

    fn pass_on(&self, changed: &Changed) {
        (self.on_heard)(changed);
        // Nobody waiting is fine.
        let _ = self.heard.send(changed.clone());
    }
}
