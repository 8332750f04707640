//! What the platform sees of a running broker, in the Prometheus text format (docs/metrics.md).
//!
//! This room comes right after `domain`, so that every room may count what it does with one line. The registry is a value
//! that is handed along and shared by its clones, not a global: many brokers run in one test process, each with its own.
//! A label's value is a configured name or one of our own words, never a subject, an id, an address, or a caller's text.

#[cfg(test)]
mod tests;

use crate::domain::{EventDraft, Reason, Timestamp};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

/// Most values are words of ours, and cost no memory of their own.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Every metric of one broker. Clones share their values; `default()` makes a set of its own.
#[derive(Clone)]
pub struct Metrics(Arc<Set>);

struct Set {
    registry: Registry,
    events: Counters<4>,
    refusals: Counters<2>,
    calls: Histograms<2>,
    provider_calls: Histograms<3>,
    caches: Counters<2>,
    key_fetches: Counters<2>,
    work_failures: Counters<1>,
    connections: Family<Labels<1>, Gauge>,
    connections_refused: Counters<1>,
    audit_commits: Histograms<1>,
    audit_batch: Histogram,
    audit_waiting: Gauge,
    audit_queue_wait: Histogram,
    audit_last_commit: Gauge<f64, AtomicU64>,
    spans: Counters<1>,
    pages: Histograms<2>,
    shed: Counters<1>,
    calls_in_progress: Gauge,
    pools: Family<Labels<2>, Gauge>,
    config: Family<Labels<2>, Gauge>,
    keys: Family<Labels<1>, Gauge>,
    system_key_made: Gauge<f64, AtomicU64>,
    revocation_epoch: Gauge,
    spool_entries: Gauge,
    connections_over: Family<Labels<1>, Gauge>,
    health: Family<Labels<1>, Gauge>,
    started: Gauge<f64, AtomicU64>,
}

/// Calls and commits, in seconds.
fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

fn entries() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").into())]).set(1);
        let mut set = Set {
            registry: Registry::with_prefix("broker"),
            events: Family::default(),
            refusals: Family::default(),
            calls: Family::new_with_constructor(seconds),
            provider_calls: Family::new_with_constructor(seconds),
            caches: Family::default(),
            key_fetches: Family::default(),
            work_failures: Family::default(),
            connections: Family::default(),
            connections_refused: Family::default(),
            audit_commits: Family::new_with_constructor(seconds),
            audit_batch: entries(),
            audit_waiting: Gauge::default(),
            audit_queue_wait: seconds(),
            audit_last_commit: Gauge::default(),
            spans: Family::default(),
            pages: Family::new_with_constructor(seconds),
            shed: Family::default(),
            calls_in_progress: Gauge::default(),
            pools: Family::default(),
            config: Family::default(),
            keys: Family::default(),
            system_key_made: Gauge::default(),
            revocation_epoch: Gauge::default(),
            spool_entries: Gauge::default(),
            connections_over: Family::default(),
            health: Family::default(),
            started: Gauge::default(),
        };
        let r = &mut set.registry;
        r.register("build_info", "The running version; always 1", build);
        r.register("audit_events", "Audit events committed, by what they say", set.events.clone());
        r.register(
            "refusals",
            "Refusals that are summed up instead of written one by one",
            set.refusals.clone(),
        );
        r.register("rpc_duration_seconds", "gRPC calls, by method and code", set.calls.clone());
        r.register("provider_call_duration_seconds", "Calls to providers", set.provider_calls.clone());
        r.register("cache_lookups", "Lookups in a cache, by result", set.caches.clone());
        r.register("key_fetches", "Fetches of an issuer's keys, by result", set.key_fetches.clone());
        r.register("work_failures", "Rounds of background work that failed", set.work_failures.clone());
        r.register("open_connections", "Connections open now, by listener", set.connections.clone());
        let refused = set.connections_refused.clone();
        r.register("connections_refused", "Connections closed at once because too many were open", refused);
        r.register("audit_commit_duration_seconds", "Commits of the audit log", set.audit_commits.clone());
        r.register("audit_batch_entries", "Events in one commit of the audit log", set.audit_batch.clone());
        r.register("audit_queue_length", "Groups that wait for the audit writer", set.audit_waiting.clone());
        let wait = set.audit_queue_wait.clone();
        r.register("audit_queue_wait_seconds", "From the queue of the audit writer into its commit", wait);
        let last = set.audit_last_commit.clone();
        r.register("audit_last_commit_timestamp_seconds", "When a commit of the log last worked", last);
        r.register("page_duration_seconds", "Requests for pages, by route and status", set.pages.clone());
        r.register("calls_shed", "Calls refused at once for want of room, by where", set.shed.clone());
        r.register("calls_in_progress", "gRPC calls being served", set.calls_in_progress.clone());
        r.register("database_connections", "Connections to the database, by pool", set.pools.clone());
        r.register("config_info", "The configuration and rules in force; always 1", set.config.clone());
        r.register("keys", "Keys that are loaded, by kind", set.keys.clone());
        let made = set.system_key_made.clone();
        r.register("system_key_created_timestamp_seconds", "When the newest system key was made", made);
        let epoch = set.revocation_epoch.clone();
        r.register("revocation_epoch", "The newest revocation rule that this replica has seen", epoch);
        let spooled = set.spool_entries.clone();
        r.register(
            "spool_entries",
            "Sealed tokens that wait in this replica's spool for the database",
            spooled,
        );
        let over = set.connections_over.clone();
        r.register(
            "connections_ending",
            "Connections that are over within 14 days unless their people connect again, by provider",
            over,
        );
        r.register("health", "1 where this part works, 0 where it does not", set.health.clone());
        r.register("start_timestamp_seconds", "When this process began to serve", set.started.clone());
        r.register("trace_spans", "Spans of traced calls, by what became of them", set.spans.clone());
        Self(Arc::new(set))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Everything, as OpenMetrics text: what Prometheus asks for first.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// An event that is committed. Its provider is a configured name: it is written into a draft only once it was found.
    pub fn event(&self, event: &EventDraft) {
        let labels = [
            ("kind", event.kind.as_str().into()),
            ("outcome", event.outcome.as_str().into()),
            ("reason", event.reason.map_or("", Reason::as_str).into()),
            ("provider", event.provider.as_ref().map_or("", |provider| provider.as_str()).to_owned().into()),
        ];
        self.0.events.get_or_create(&labels).inc();
    }

    /// A refusal that gets no row of its own.
    pub fn refusal(&self, listener: &'static str, reason: Reason) {
        let labels = [("listener", listener.into()), ("reason", reason.as_str().into())];
        self.0.refusals.get_or_create(&labels).inc();
    }

    /// A gRPC call that was answered. `method` comes from the gate table, `code` from gRPC's list.
    pub fn call(&self, method: &'static str, code: i32, took: Duration) {
        let labels = [("method", method.into()), ("code", code.to_string().into())];
        self.0.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A call to a configured provider.
    pub fn provider_call(&self, provider: &str, call: &'static str, worked: bool, took: Duration) {
        let labels = [("provider", provider.to_owned().into()), ("call", call.into()), result(worked)];
        self.0.provider_calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A lookup in one of our caches.
    pub fn lookup(&self, cache: &'static str, hit: bool) {
        let found = if hit { "hit" } else { "miss" };
        self.0.caches.get_or_create(&[("cache", cache.into()), ("result", found.into())]).inc();
    }

    /// A fetch of a configured issuer's keys.
    pub fn key_fetch(&self, issuer: &str, worked: bool) {
        self.0.key_fetches.get_or_create(&[("issuer", issuer.to_owned().into()), result(worked)]).inc();
    }

    /// A round of background work that failed.
    pub fn work_failed(&self, work: &'static str) {
        self.0.work_failures.get_or_create(&[("work", work.into())]).inc();
    }

    /// A connection that was let in; it is open until the value returned is dropped.
    pub fn connection(&self, listener: &'static str) -> OpenConnection {
        let open = self.0.connections.get_or_create_owned(&[("listener", listener.into())]);
        open.inc();
        OpenConnection(open)
    }

    /// A connection that was one too many.
    pub fn connection_refused(&self, listener: &'static str) {
        self.0.connections_refused.get_or_create(&[("listener", listener.into())]).inc();
    }

    /// A commit of the audit log, or an attempt at one.
    pub fn audit_commit(&self, events: usize, worked: bool, took: Duration) {
        self.0.audit_commits.get_or_create(&[result(worked)]).observe(took.as_secs_f64());
        if !worked {
            // It holds no events: they come again, in this commit's size or another.
            return;
        }
        self.0.audit_batch.observe(f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
    }

    /// How long a group waited for its commit to begin.
    pub fn audit_queue_wait(&self, waited: Duration) {
        self.0.audit_queue_wait.observe(waited.as_secs_f64());
    }

    /// A commit of the log worked.
    pub fn audit_committed_at(&self, now: Timestamp) {
        self.0.audit_last_commit.set(unix_seconds(now));
    }

    /// A request for a page. `route` is the template it is served under, `""` for none.
    pub fn page(&self, route: &str, status: u16, took: Duration) {
        let labels = [("route", route.to_owned().into()), ("status", status.to_string().into())];
        self.0.pages.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A call that was refused at once, because there was no room at `place`.
    pub fn shed(&self, place: &'static str) {
        self.0.shed.get_or_create(&[("place", place.into())]).inc();
    }

    /// A gRPC call that is being served, until the value returned is dropped.
    pub fn call_in_progress(&self) -> InProgress {
        self.0.calls_in_progress.inc();
        InProgress(self.0.calls_in_progress.clone())
    }

    /// Connections of a pool.
    pub fn pool(&self, pool: &'static str, used: u32, idle: u32) {
        for (state, count) in [("used", used), ("idle", idle)] {
            self.0.pools.get_or_create(&[("pool", pool.into()), ("state", state.into())]).set(count.into());
        }
    }

    /// What is in force now: two replicas that differ are seen here (OP4).
    pub fn configured(&self, config_hash: &str, policy_version: &str) {
        self.0.config.clear();
        let labels = [
            ("config_hash", config_hash.to_owned().into()),
            ("policy_version", policy_version.to_owned().into()),
        ];
        self.0.config.get_or_create(&labels).set(1);
    }

    /// Keys that are loaded, and when the newest system key was made.
    pub fn keys(&self, root: usize, system: usize, newest_system: Option<Timestamp>) {
        for (kind, count) in [("root", root), ("system", system)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.keys.get_or_create(&[("kind", kind.into())]).set(count);
        }
        if let Some(made) = newest_system {
            self.0.system_key_made.set(unix_seconds(made));
        }
    }

    /// The newest revocation rule seen.
    pub fn revocation_epoch(&self, epoch: i64) {
        self.0.revocation_epoch.set(epoch);
    }

    /// How many entries wait in this process's part of the spool.
    pub fn spool_entries(&self, entries: usize) {
        self.0.spool_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// How many connections at a provider are over soon unless their people connect again.
    pub fn connections_ending(&self, provider: &str, count: u64) {
        let over = self.0.connections_over.get_or_create(&[("provider", provider.to_owned().into())]);
        over.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether `part` works: `ready` is this process, `database` what all replicas share.
    pub fn health(&self, part: &'static str, works: bool) {
        self.0.health.get_or_create(&[("part", part.into())]).set(works.into());
    }

    /// It serves from now on.
    pub fn started(&self, now: Timestamp) {
        self.0.started.set(unix_seconds(now));
    }

    /// Spans that were `sent`, or not: `dropped` for want of room, `failed` to be sent, `rejected` by the collector.
    pub fn spans(&self, result: &'static str, count: u64) {
        if count > 0 {
            self.0.spans.get_or_create(&[("result", result.into())]).inc_by(count);
        }
    }

    /// How many groups wait for the audit writer.
    pub fn audit_waiting(&self, groups: usize) {
        self.0.audit_waiting.set(i64::try_from(groups).unwrap_or(i64::MAX));
    }
}

fn result(worked: bool) -> (&'static str, Cow<'static, str>) {
    ("result", if worked { "ok" } else { "failed" }.into())
}

/// Seconds since 1970; exact to the microsecond.
fn unix_seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}

/// A call being served, counted.
pub struct InProgress(Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// An open connection, counted.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
