//! Small traits, one per table group, and the stores behind them. Rows count only after [`crate::domain::Tagged::check`].

mod hot;
pub mod postgres;
pub mod sqlite;

mod ending;
mod endings;
mod error;
mod log_order;
mod pools;
mod recently_used;
mod rewraps;
mod rows;
mod rule_window;
mod schema;
mod spans;
mod wakeups;

#[cfg(test)]
mod conformance;

pub use crate::domain::WrappedKey;
pub use endings::{Ending, EndingToken, Endings, Over};
pub use error::StoreError;
pub use hot::{Forget, HotLimits, with_hot_rows};
pub use log_order::STREAM_WINDOW;
pub use pools::{PoolUse, Pools};
pub use postgres::PostgresStore;
pub use rewraps::{Found, Replacement, Rewraps, TokenPlace, Uses};
pub use rows::Readable;
pub use schema::{AppliedMigration, Migration, SchemaError};
pub use spans::with_spans;
pub use sqlite::SqliteStore;
pub use wakeups::Wakeups;

use crate::domain::{
    Applied, Approval, ConnectionId, Consent, ConsentId, EventId, Group, LogoutNames, Owner, ParentPage,
    Position, ProviderId, RequestClaim, Rule, ScopeSet, SecretKind, SecretRow, StoredConnection, StreamId,
    Subject, Tagged, TenantId, Timestamp, TokenHolder, WebSession, WorkloadId, ledger::Head,
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Connections, their tokens, and revocations waiting to be done at the provider.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The connections of one owner, at one provider or all, newest first; revoked ones too.
    async fn of_owner(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError>;
    /// One connection of a tenant.
    async fn by_id(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, StoreError>;
    /// A page of a tenant's connections by id, after `after`.
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Readable<StoredConnection>>, StoreError>;
    /// One token.
    async fn secret(
        &self,
        connection: &ConnectionId,
        kind: SecretKind,
        scope_key: &str,
    ) -> Result<Option<Tagged<SecretRow>>, StoreError>;
    /// All tokens of a connection.
    async fn secrets(
        &self,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<SecretRow>>>, StoreError>;
    /// Revocations to be done at providers by `now`: each provider's oldest first, then each one's second, and so on.
    async fn due_revocations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<QueuedRevocation>>, StoreError>;
}

/// A revocation waiting to be done at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRevocation {
    /// Whose tokens.
    pub holder: TokenHolder,
    /// The holder's tenant.
    pub tenant: TenantId,
    /// The provider, in whatever bytes the holder's row says; unchecked, and good for nothing but taking turns.
    pub provider: Vec<u8>,
    /// Attempts so far.
    pub attempts: i64,
    /// Next attempt not before this.
    pub due_at: Timestamp,
}

/// Approvals.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// One workload's approval on one connection, withdrawn or not.
    async fn find(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
        workload: &WorkloadId,
    ) -> Result<Option<Readable<Tagged<Approval>>>, StoreError>;
    /// Every approval on a connection.
    async fn of_connection(
        &self,
        tenant: &TenantId,
        connection: &ConnectionId,
    ) -> Result<Vec<Readable<Tagged<Approval>>>, StoreError>;
}

/// Consents.
#[async_trait]
pub trait Consents: Send + Sync {
    /// By id.
    async fn by_id(&self, id: &ConsentId) -> Result<Option<Tagged<Consent>>, StoreError>;
    /// By SHA-256 of the link's handle.
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError>;
    /// By SHA-256 of the OAuth `state`.
    async fn by_state(&self, state_hash: &[u8; 32]) -> Result<Option<Tagged<Consent>>, StoreError>;
    /// The open consents for exactly this need, newest first. There is at most one that this broker wrote (CO1).
    async fn open_need(
        &self,
        subject: &Subject,
        workload: &WorkloadId,
        provider: &ProviderId,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError>;
    /// A subject's consents that are open at `now`, `limit` at most. That they are is unchecked.
    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError>;
    /// Consents that are open in storage but past their time at `now`.
    async fn overdue(&self, now: Timestamp, limit: u32)
    -> Result<Vec<Readable<Tagged<Consent>>>, StoreError>;
}

/// Parent pages.
#[async_trait]
pub trait Parents: Send + Sync {
    /// By SHA-256 of the link's handle.
    async fn by_handle(&self, handle_hash: &[u8; 32]) -> Result<Option<Tagged<ParentPage>>, StoreError>;
    /// A subject's parent pages that are open at `now`, newest first, `limit` at most. That they are is unchecked.
    async fn open_of(
        &self,
        subject: &Subject,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Readable<Tagged<ParentPage>>>, StoreError>;
}

/// Web sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// By SHA-256 of the cookie's value.
    async fn by_id(&self, id_hash: &[u8; 32]) -> Result<Option<Tagged<WebSession>>, StoreError>;
    /// Keys (see [`Self::by_id`]) of the sessions an identity provider has ended and nobody else did yet. What the
    /// rows say is unchecked.
    async fn named(&self, names: &LogoutNames) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Notes a request; not a covered column.
    async fn touch(&self, id_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError>;
    /// Removes sessions, logouts and request claims that are over at `now`; returns how many.
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError>;
}

/// Request claims (GR5).
#[async_trait]
pub trait Requests: Send + Sync {
    /// The claim under a key, unless it is over at `now`.
    async fn by_key(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<RequestClaim>, StoreError>;
}

/// Tenant keys and subject keys, wrapped.
#[async_trait]
pub trait WrappedKeys: Send + Sync {
    /// A tenant's keys, newest first (`""` = the system key).
    async fn tenant_keys(&self, tenant: &str) -> Result<Vec<WrappedKey>, StoreError>;
    /// A subject's key.
    async fn subject_key(&self, tenant: &str, pseudonym: &str) -> Result<Option<WrappedKey>, StoreError>;
    /// Inserts a key; `Exists` when somebody else made the tenant's first key or the subject's key meanwhile.
    async fn insert(&self, key: &WrappedKey, first_of_tenant: bool) -> Result<(), StoreError>;
    /// Replaces the wrapping of a key that still is what was read; `false` = it is not.
    async fn rewrap(&self, was: &WrappedKey, wrapped_by: &str, wrapped: &[u8]) -> Result<bool, StoreError>;
    /// How many keys each tenant has (`""` = the system's).
    async fn counts(&self) -> Result<Vec<(String, u64)>, StoreError>;
}

/// One row of the audit log as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// The stream.
    pub stream: StreamId,
    /// From 1.
    pub seq: i64,
    /// SHA-256 of the event before it in the stream; zeros for the first.
    pub previous_hash: [u8; 32],
    /// SHA-256 over tag, previous hash and body.
    pub hash: [u8; 32],
    /// The id of the audit MAC key.
    pub mac_key: String,
    /// HMAC-SHA-256 of `hash`.
    pub mac: [u8; 32],
    /// The canonical bytes.
    pub body: Vec<u8>,
    /// Columns people filter on; compared with `body` by verify.
    pub columns: AuditColumns,
}

/// The filterable columns of an audit row. `""` = none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditColumns {
    /// Event id.
    pub id: EventId,
    /// UTC.
    pub time: Timestamp,
    /// Tenant.
    pub tenant: String,
    /// The person's pseudonym.
    pub subject: String,
    /// Workload.
    pub workload: String,
    /// Provider.
    pub provider: String,
    /// Event kind.
    pub kind: String,
    /// Outcome.
    pub outcome: String,
    /// Reason code.
    pub reason: String,
}

/// What the audit room does inside a commit: number, chain and MAC; and tag a new rule.
pub trait Seal: Send + Sync {
    /// One row per entry, in order, saying what really happened. `head` is the stream's head before the batch.
    fn rows(&self, head: &Head, groups: &[Group], applied: &[Vec<Applied>]) -> Vec<AuditRow>;
    /// The head after the batch, with its MAC.
    fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>);
    /// Tags a rule that got its epoch.
    fn rule(&self, rule: Rule) -> Tagged<Rule>;
    /// Checks rules read back from storage.
    fn check_rules(&self, rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>>;
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Per group, per entry.
    pub applied: Vec<Vec<Applied>>,
    /// Per group, per entry.
    pub positions: Vec<Vec<Position>>,
    /// The new head.
    pub head: Head,
    /// Rules that were new to this writer, and those this batch made.
    pub new_rules: Vec<Rule>,
}

/// Which advisory lock a commit takes (design §6). SQLite has one writer anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockMode {
    /// Issuing and everything that may run beside it.
    Shared,
    /// Groups that revoke or block.
    Exclusive,
}

/// An audit stream as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    /// The head.
    pub head: Head,
    /// MAC over the head and `open`, with its key id.
    pub mac: Vec<u8>,
    /// Whether its writer may still append.
    pub open: bool,
    /// When it was opened, UTC.
    pub opened_at: Timestamp,
    /// The writer's last sign of life, UTC.
    pub heartbeat_at: Timestamp,
    /// How long ago that was on the database's own clock. `Duration::MAX` where this process alone may write: every other
    /// stream's writer is gone.
    pub silent_for: Duration,
}

/// The ledger: the only way to change state that needs an audit row.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// One transaction: rules newer than `known_epoch`, claims, effects, rows, head. All or nothing. `known_epoch` is the
    /// newest its caller has seen: fewer rules than that are [`StoreError::RuleTampered`]. Older rules are read again where
    /// an entry was decided before them. An empty batch is a sign of life.
    async fn commit(
        &self,
        head: &Head,
        known_epoch: i64,
        batch: &[Group],
        lock: LockMode,
        now: Timestamp,
        seal: &dyn Seal,
    ) -> Result<Committed, StoreError>;
    /// Registers a new stream.
    async fn open_stream(&self, stream: &StreamRow) -> Result<(), StoreError>;
    /// How often a writer must show that it lives, at an empty commit if there is nothing else to commit; `None` where
    /// no other process could end its stream.
    fn heartbeat(&self) -> Option<Duration>;
    /// Marks a writer's own stream closed by compare-and-set on (head, open); false when it moved.
    async fn close_stream(&self, head: &Head, mac: &[u8]) -> Result<bool, StoreError>;
    /// Every stream, oldest first.
    async fn streams(&self) -> Result<Vec<StreamRow>, StoreError>;
    /// Every rule newer than `epoch`, in order.
    async fn rules_since(&self, epoch: i64) -> Result<Vec<Tagged<Rule>>, StoreError>;
}

/// What an audit query asks for. Empty = everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Tenant.
    pub tenant: Option<String>,
    /// Pseudonym.
    pub subject: Option<String>,
    /// Workload.
    pub workload: Option<String>,
    /// Provider.
    pub provider: Option<String>,
    /// Outcome.
    pub outcome: Option<String>,
}

/// Reading the audit log. Order is (stream, seq); streams sort by opening time.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Rows that match, after `after`, at most `limit`.
    async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError>;
    /// The rows of one stream after `seq`, at most `limit`.
    async fn scan(&self, stream: &StreamId, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
    /// One event by id.
    async fn by_id(&self, id: &EventId) -> Result<Option<AuditRow>, StoreError>;
}

/// Every table group of one database.
#[derive(Clone)]
pub struct Store {
    /// Connections and their tokens.
    pub connections: Arc<dyn Connections>,
    /// Which connections are refreshed ahead.
    pub endings: Arc<dyn Endings>,
    /// Approvals.
    pub approvals: Arc<dyn Approvals>,
    /// Consents.
    pub consents: Arc<dyn Consents>,
    /// Parent pages.
    pub parents: Arc<dyn Parents>,
    /// Web sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Request claims.
    pub requests: Arc<dyn Requests>,
    /// Wrapped keys.
    pub wrapped_keys: Arc<dyn WrappedKeys>,
    /// Sealed values by the key that wraps them.
    pub rewraps: Arc<dyn Rewraps>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The audit log.
    pub audit_log: Arc<dyn AuditLog>,
    /// Wake-ups.
    pub wakeups: Arc<dyn Wakeups>,
    /// Its connections.
    pub pools: Arc<dyn Pools>,
}
