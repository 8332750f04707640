//! A ledger in memory that can be made to fail in the ways a database does.

use super::{Audit, AuditConfig, AuditError};
use crate::{
    domain::{
        Applied, Entry, EventDraft, EventId, EventKind, Group, ManualClock, Outcome, Position, Rng, Rule,
        RuleKind, StreamId, SystemRng, Tagged, Timestamp, Write, ledger::Head,
    },
    keys::{KeyRing, testing::ring},
    storage::{AuditFilter, AuditLog, AuditRow, Committed, Ledger, LockMode, Seal, StoreError, StreamRow},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How commits go wrong.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Weather {
    #[default]
    Fair,
    /// Nothing answers.
    Down,
    /// Reading works, commits fail.
    ReadOnly,
    /// The commit happens, its acknowledgement does not arrive.
    LostAck,
    /// The commit happens, its acknowledgement does not arrive, and then nothing answers.
    LostAckThenDown,
    /// Commits never come back.
    Hang,
    /// Encoding this event panics.
    PanicOn(EventId),
    /// Inserting this event fails.
    ExistsOn(EventId),
}

#[derive(Default)]
pub(super) struct Stored {
    pub(super) streams: Vec<StreamRow>,
    pub(super) rows: Vec<AuditRow>,
    pub(super) rules: Vec<Tagged<Rule>>,
    pub(super) epochs: Vec<Rule>,
    pub(super) claims: HashMap<[u8; 32], crate::domain::RequestClaim>,
    pub(super) used: HashSet<[u8; 32]>,
    pub(super) batches: Vec<(LockMode, usize)>,
    pub(super) weather: Weather,
    pub(super) heartbeat: Option<Duration>,
}

#[derive(Default)]
pub(super) struct MemoryLedger {
    stored: Mutex<Stored>,
    /// Held by a test, it keeps commits waiting.
    pub(super) gate: tokio::sync::Mutex<()>,
    pub(super) entered: AtomicUsize,
}

impl MemoryLedger {
    pub(super) fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn weather(&self, weather: Weather) {
        self.stored().weather = weather;
    }

    pub(super) fn bodies(&self) -> Vec<serde_json::Value> {
        self.stored().rows.iter().map(|row| serde_json::from_slice(&row.body).unwrap()).collect()
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        self.stored().rows.iter().map(|row| row.columns.kind.clone()).collect()
    }

    fn up(&self) -> Result<MutexGuard<'_, Stored>, StoreError> {
        let stored = self.stored();
        match stored.weather {
            Weather::Down => Err(StoreError::Unavailable("down".into())),
            _ => Ok(stored),
        }
    }
}

impl Stored {
    fn apply(&mut self, group: &Group, now: Timestamp, seal: &dyn Seal, new: &mut Vec<Rule>) -> Vec<Applied> {
        let hits: Vec<Option<Applied>> = group.entries.iter().map(|e| self.refusal(e)).collect();
        if hits.iter().any(Option::is_some) {
            return hits.into_iter().map(|hit| hit.unwrap_or(Applied::GroupFailed)).collect();
        }
        for entry in &group.entries {
            if let Some(claim) = &entry.claim {
                self.claims.insert(claim.key, claim.clone());
            }
            for write in &entry.effect {
                if let Write::AddRule { kind, target } = write {
                    let epoch = self.epochs.len() as i64 + 1;
                    let rule = Rule { epoch, kind: *kind, target: target.clone(), at: now };
                    self.rules.push(seal.rule(rule.clone()));
                    self.epochs.push(rule.clone());
                    new.push(rule);
                }
                if let Write::UseAssertion(used) = write {
                    self.used.insert(used.key);
                }
                if let Write::EndStream { head, mac } = write
                    && let Some(stream) = self.streams.iter_mut().find(|s| s.head == *head && s.open)
                {
                    stream.open = false;
                    stream.mac.clone_from(mac);
                }
            }
        }
        vec![Applied::Yes; group.entries.len()]
    }

    fn refusal(&self, entry: &Entry) -> Option<Applied> {
        let newer = |r: &&Rule| r.epoch > entry.epoch && r.kind != RuleKind::Lift;
        if let Some(rule) = self.epochs.iter().filter(newer).find(|r| entry.names.include(&r.target))
            && !entry.settlement
        {
            return Some(Applied::Hit(rule.clone()));
        }
        if let Some(taken) = entry.claim.as_ref().and_then(|c| self.claims.get(&c.key)) {
            return Some(Applied::Duplicate(Box::new(taken.clone())));
        }
        let stale = |write: &Write| match write {
            // The one write that never applies here.
            Write::SettleLease(settling) => settling.epoch == -1,
            Write::UseAssertion(used) => self.used.contains(&used.key),
            Write::EndStream { head, .. } => !self.streams.iter().any(|s| s.head == *head && s.open),
            _ => false,
        };
        entry.effect.iter().position(stale).map(Applied::NotApplied)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError> {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let _gate = self.gate.lock().await;
        let weather = self.stored().weather.clone();
        let has = |id: &EventId| batch.iter().flat_map(|g| &g.entries).any(|e| e.draft.id == *id);
        match &weather {
            Weather::Hang => std::future::pending().await,
            Weather::ReadOnly => return Err(StoreError::Unavailable("read-only".into())),
            Weather::PanicOn(id) => assert!(!has(id), "encoding fails, as a test asked"),
            Weather::ExistsOn(id) if has(id) => return Err(StoreError::Exists),
            _ => {}
        }
        let mut stored = self.up()?;
        let at =
            stored.streams.iter().position(|s| s.head == *head && s.open).ok_or(StoreError::HeadMoved)?;
        let old: Vec<_> = stored.rules.iter().skip(known_epoch as usize).cloned().collect();
        let mut new_rules = seal.check_rules(old).ok_or(StoreError::RuleTampered)?;
        let applied: Vec<_> =
            batch.iter().map(|group| stored.apply(group, now, seal, &mut new_rules)).collect();
        let rows = if batch.is_empty() { Vec::new() } else { seal.rows(head, batch, &applied) };
        let unmoved = || (head.clone(), stored.streams[at].mac.clone());
        let (head, mac) = if rows.is_empty() { unmoved() } else { seal.head(&rows) };
        let mut seqs = rows.iter().map(|row| Position { stream: row.stream.clone(), seq: row.seq });
        let positions = batch.iter().map(|g| seqs.by_ref().take(g.entries.len()).collect()).collect();
        stored.streams[at].head = head.clone();
        stored.streams[at].mac = mac;
        stored.streams[at].heartbeat_at = now;
        stored.rows.extend(rows);
        stored.batches.push((lock, batch.len()));
        match weather {
            Weather::LostAck => Err(StoreError::Unavailable("the acknowledgement was lost".into())),
            Weather::LostAckThenDown => {
                stored.weather = Weather::Down;
                Err(StoreError::Unavailable("the acknowledgement was lost".into()))
            }
            _ => Ok(Committed { applied, positions, head, new_rules }),
        }
    }

    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError> {
        let mut stored = self.up()?;
        // Without signs of life there is no second process: what this one finds later was left by one that is gone.
        let silent_for = if stored.heartbeat.is_some() { Duration::ZERO } else { Duration::MAX };
        stored.streams.push(StreamRow { silent_for, ..stream.clone() });
        Ok(())
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.stored().heartbeat
    }

    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError> {
        let mut stored = self.up()?;
        let Some(stream) = stored.streams.iter_mut().find(|s| s.head == *head && s.open) else {
            return Ok(false);
        };
        stream.open = false;
        stream.mac = mac.to_vec();
        Ok(true)
    }

    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        Ok(self.up()?.streams.clone())
    }

    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError> {
        Ok(self.up()?.rules.iter().skip(epoch as usize).cloned().collect())
    }
}

#[async_trait]
impl AuditLog for MemoryLedger {
    async fn list(&self, _: &AuditFilter, _: Option<&Position>, _: u32) -> Result<Vec<AuditRow>, StoreError> {
        Ok(self.up()?.rows.clone())
    }

    async fn scan(&self, stream: &StreamId, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let stored = self.up()?;
        let mut rows: Vec<_> =
            stored.rows.iter().filter(|r| r.stream == *stream && r.seq > after).cloned().collect();
        rows.sort_by_key(|r| r.seq);
        rows.truncate(limit as usize);
        Ok(rows)
    }

    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError> {
        Ok(self.up()?.rows.iter().find(|r| r.columns.id == *id).cloned())
    }
}

/// A broker's worth of audit log; starts and stops are the test's.
pub(super) struct House {
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) config: AuditConfig,
}

impl House {
    pub(super) async fn new() -> Self {
        let (keys, _, clock) = ring().await;
        let config = AuditConfig { commit_timeout: Duration::from_millis(50), ..AuditConfig::default() };
        Self { ledger: Arc::default(), keys, clock, rng: Arc::new(SystemRng::default()), config }
    }

    pub(super) async fn start(&self) -> Result<Arc<Audit>, AuditError> {
        let ledger: Arc<dyn Ledger> = self.ledger.clone();
        let (keys, clock, rng) = (self.keys.clone(), self.clock.clone(), self.rng.clone());
        Audit::start(ledger, keys, clock, rng, self.config.clone()).await.map(Arc::new)
    }

    pub(super) async fn verify(&self) -> Result<super::Verified, super::VerifyError> {
        super::verify(&*self.ledger, &*self.ledger, &self.keys.audit_keys(), &mut |_| {}).await
    }

    pub(super) fn event(&self, kind: EventKind, outcome: Outcome) -> Entry {
        Entry::note(EventDraft::new(EventId::random(&*self.rng), kind, outcome))
    }

    pub(super) fn session(&self) -> Entry {
        self.event(EventKind::SessionStarted, Outcome::Allowed)
    }
}

/// Lets other tasks run until `reached`; fails rather than spin for ever.
pub(super) async fn until(reached: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if reached() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came about");
}

/// The same for what a timer brings about.
pub(super) async fn until_later(reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it never came about");
}
