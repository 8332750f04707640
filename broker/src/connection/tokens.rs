//! The access token for a call: a stored one, or a refreshed one.

use super::{
    failure::give_up,
    flight::Flights,
    pick::{Choice, Pick},
    prepare::{Cause, Prepared},
    refresh::{RefreshOutcome, Refreshing},
    seats::Seats,
    spool::Spool,
    watch::{LOOK_AGAIN, Watch},
};
use crate::{
    audit::{Audit, Deadline},
    crash::CrashPoints,
    domain::{
        Approval, Clock, Connection, ConnectionId, ConsentReason, Names, ProviderSpec, Quarantined, Reason,
        Refusal, Rng, ScopeSet, SecretRow,
    },
    keys::KeyRing,
    metrics::Metrics,
    policy::{Grounds, Policy, Verdict},
    provider::Engine,
    relay::Relay,
    storage::Store,
    trace::{self, step},
    vault::Vault,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use tokio_util::task::TaskTracker;

const CROWDED: &str = "Too many calls wait for this provider, which answers slowly; try again in a moment.";
/// When to come back then.
const CROWD_CLEARS: Duration = Duration::from_secs(1);

/// What is left to a caller that has waited for another replica in vain, for its answer to reach it; and when to come back then.
const TO_ANSWER: Duration = Duration::from_millis(500);
const COME_BACK: Duration = Duration::from_secs(1);

/// What a call wants a token for.
pub struct Wanting<'a> {
    /// The checked connection.
    pub connection: &'a Connection,
    /// This workload's checked approval.
    pub approval: &'a Approval,
    /// What policy allowed, within the approval.
    pub scopes: &'a ScopeSet,
    /// Whether rules let this workload hold a token with these scopes, though its approval does not cover them.
    pub may_hold: &'a (dyn Fn(&ScopeSet) -> bool + Sync),
    /// The decision, grounds for a refresh.
    pub verdict: &'a Verdict,
    /// The provider.
    pub spec: &'a ProviderSpec,
    /// What the call relies on.
    pub names: &'a Names,
    /// The revocation epoch the names were read at.
    pub epoch: i64,
    /// When the caller gives up.
    pub deadline: Deadline,
}

impl Wanting<'_> {
    fn cause(&self) -> Cause<'_> {
        Cause {
            connection: self.connection,
            spec: self.spec,
            grounds: Grounds::Issuance(self.verdict),
            workload: Some(&self.approval.workload),
            names: self.names,
            epoch: self.epoch,
        }
    }
}

/// The outcome.
#[derive(Debug)]
pub enum Access {
    /// This token answers; this workload may hold it, and it covers the request.
    Ready(Box<SecretRow>),
    /// The user has to act first; with what the approval would have to carry.
    Need(ConsentReason, ScopeSet, Option<Quarantined>),
}

/// Finds or refreshes access tokens; one refresh at a time per connection.
pub struct Tokens {
    pub(super) store: Store,
    hot: Store,
    pub(super) keys: Arc<KeyRing>,
    pub(super) policy: Arc<Policy>,
    pub(super) audit: Arc<Audit>,
    pub(super) vault: Arc<Vault>,
    pub(super) engine: Arc<Engine>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    /// Names this process in leases.
    pub(super) replica: String,
    pub(super) spool: Spool,
    pub(super) drain_grace: Duration,
    pub(super) points: CrashPoints,
    pub(super) detached: TaskTracker,
    pub(super) flights: Flights,
    relay: Relay,
    metrics: Metrics,
    seats: Seats,
    /// What a provider really gave when asked for a narrower set, so that it is not asked each time.
    given: moka::sync::Cache<(ConnectionId, ScopeSet), ScopeSet>,
}

/// The rooms refreshing works with.
pub struct Parts {
    /// Tables.
    pub store: Store,
    /// The same, with rows that may be a moment old.
    pub hot: Store,
    /// Keys.
    pub keys: Arc<KeyRing>,
    /// Decides.
    pub policy: Arc<Policy>,
    /// Writes down.
    pub audit: Arc<Audit>,
    /// Seals and opens.
    pub vault: Arc<Vault>,
    /// Speaks OAuth.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Names this process in leases.
    pub replica: String,
    /// Where tokens that cannot be stored are kept until they can.
    pub spool: Spool,
    /// How long a replica that comes back has to store what it kept.
    pub drain_grace: Duration,
    /// Where this process dies, in tests.
    pub points: CrashPoints,
    /// Work that outlives its caller.
    pub detached: TaskTracker,
    /// What other replicas say.
    pub relay: Relay,
    /// Counts what is shed.
    pub metrics: Metrics,
    /// Most callers of one tenant that wait for one provider; more are shed.
    pub waiting_per_provider: usize,
}

impl Tokens {
    /// From finished parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, hot, keys, policy, audit, vault, engine, clock, rng, replica, .. } = parts;
        Self {
            spool: parts.spool,
            drain_grace: parts.drain_grace,
            points: parts.points,
            store,
            hot,
            keys,
            policy,
            audit,
            vault,
            engine,
            clock,
            rng,
            replica,
            detached: parts.detached,
            relay: parts.relay,
            metrics: parts.metrics,
            flights: Flights::default(),
            seats: Seats::new(parts.waiting_per_provider),
            given: moka::sync::Cache::new(10_000),
        }
    }

    /// Where tokens that cannot be stored are kept until they can.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Waits until nobody in this process refreshes `connection`, and keeps others from it until dropped.
    pub async fn turn(&self, connection: &ConnectionId) -> OwnedMutexGuard<()> {
        self.flights.turn(connection).await
    }

    /// A token for `wanting`.
    ///
    /// # Errors
    /// The store's, the audit log's and the provider's refusals; a passing provider fault only when no valid token is left.
    pub async fn access(self: &Arc<Self>, wanting: &Wanting<'_>) -> Result<Access, Refusal> {
        // A token kept in memory is good until it ends; that there is none only the database says.
        if let Ok(Ok(Pick::Serve(row))) = self.pick(&self.hot, wanting).await {
            return Ok(Access::Ready(row));
        }
        // Rare, and large: the calls that find a token do not carry its state about.
        Box::pin(self.asked_for(wanting)).await
    }

    /// A token that is not in memory: from the database, or from the provider.
    async fn asked_for(self: &Arc<Self>, wanting: &Wanting<'_>) -> Result<Access, Refusal> {
        // Once more where another replica began to refresh at the same moment.
        for _ in 0..2 {
            let fallback = match self.pick(&self.store, wanting).await? {
                Ok(Pick::Refresh { fallback, .. }) => fallback,
                other => return Ok(settle(other)),
            };
            match (self.seat(wanting), fallback) {
                (Some(seat), _) => {
                    if let Some(access) = self.refreshed(wanting, seat).await? {
                        return Ok(access);
                    }
                }
                (None, Some(row)) => return Ok(Access::Ready(row)),
                (None, None) => {
                    self.metrics.shed("provider_seats");
                    return Err(Refusal::because(Reason::Overloaded, CROWDED).retry_after(CROWD_CLEARS));
                }
            }
        }
        Err(Refusal::new(Reason::ProviderUnavailable).retry_after(LOOK_AGAIN))
    }

    fn seat(&self, wanting: &Wanting<'_>) -> Option<OwnedSemaphorePermit> {
        self.seats.take(wanting.connection.owner.tenant(), &wanting.spec.id)
    }

    /// A token the provider has to be asked for, unless somebody just did; `None` = another replica began to at this moment.
    async fn refreshed(
        self: &Arc<Self>,
        wanting: &Wanting<'_>,
        seat: OwnedSemaphorePermit,
    ) -> Result<Option<Access>, Refusal> {
        let turn = self.flights.turn(&wanting.connection.id).await;
        let (refreshing, fallback) = match self.prepared(wanting).await? {
            Begun::Refresh(refreshing, fallback) => (refreshing, fallback),
            Begun::Done(access) => return Ok(Some(access)),
        };
        // Detached: a caller that goes away must not lose a rotated token (RF3).
        let this = Arc::clone(self);
        let span = step!("refresh", broker.provider = wanting.spec.id.as_str());
        let task = self.detached.spawn(async move {
            let outcome = trace::within(span, refreshing.run(&this)).await;
            drop((turn, seat));
            outcome
        });
        let left = wanting.deadline.remaining(&*self.clock);
        let outcome =
            tokio::time::timeout(left, task).await.map_err(|_| Refusal::new(Reason::DeadlineExceeded))?;
        let outcome = outcome.map_err(|e| Refusal::new(Reason::Internal).caused_by(e))?;
        match (outcome, fallback) {
            (Ok(RefreshOutcome::Stored(row)), _) => Ok(Some(self.judge(wanting, *row))),
            (Ok(RefreshOutcome::ReauthRequired), _) => Ok(Some(reauth(wanting))),
            (Ok(RefreshOutcome::Elsewhere), None) => Ok(None),
            (Ok(RefreshOutcome::Elsewhere), Some(row)) => Ok(Some(Access::Ready(row))),
            (Err(refusal), Some(row)) if is_passing(refusal.reason) => Ok(Some(Access::Ready(row))),
            (Err(refusal), _) => Err(refusal),
        }
    }

    /// Looks what is to be done; waits a moment for another replica that does it. The caller has the turn.
    async fn prepared(&self, wanting: &Wanting<'_>) -> Result<Begun, Refusal> {
        let mut watch = Watch::of(&self.relay, &wanting.connection.id);
        loop {
            // Whoever had the turn or the lease before may have done the work: look again before calling anybody.
            let (narrow_to, fallback) = match self.pick(&self.store, wanting).await? {
                Ok(Pick::Refresh { narrow_to, fallback }) => (narrow_to, fallback),
                other => return Ok(Begun::Done(settle(other))),
            };
            match (Refreshing::prepare(self, &wanting.cause(), narrow_to).await, fallback) {
                (Ok(Prepared::Refresh(refreshing)), fallback) => {
                    // The lease's epoch is read by now: what another replica stored before that is seen here, what it stores
                    // later costs this one the lease.
                    return Ok(match self.pick(&self.store, wanting).await? {
                        Ok(Pick::Refresh { .. }) => Begun::Refresh(refreshing, fallback),
                        other => Begun::Done(settle(other)),
                    });
                }
                (Ok(Prepared::Elsewhere { .. } | Prepared::Lost(..)), Some(row)) => {
                    return Ok(Begun::Done(Access::Ready(row)));
                }
                (Ok(Prepared::Lost(connection, lease_epoch)), None) => {
                    give_up(self, *connection, lease_epoch).await?;
                    return Ok(Begun::Done(reauth(wanting)));
                }
                // Whoever took it may still be at it, and is about to store what this call wants (RF1). Held for longer: they died.
                (Ok(Prepared::Elsewhere { alive: true, .. }), None) => {
                    let left = wanting.deadline.remaining(&*self.clock).saturating_sub(TO_ANSWER);
                    if left.is_zero() || !watch.again(left).await {
                        return Err(Refusal::new(Reason::ProviderUnavailable).retry_after(COME_BACK));
                    }
                }
                (Ok(Prepared::Elsewhere { rest, .. }), None) => {
                    return Err(Refusal::new(Reason::ProviderUnavailable).retry_after(rest));
                }
                // Whoever had the turn before was told that the grant is dead.
                (Err(refusal), _) if refusal.reason == Reason::ProviderGrantRejected => {
                    return Ok(Begun::Done(reauth(wanting)));
                }
                (Err(refusal), Some(row)) if is_passing(refusal.reason) => {
                    return Ok(Begun::Done(Access::Ready(row)));
                }
                (Err(refusal), None | Some(_)) => return Err(refusal),
            }
        }
    }

    async fn pick(&self, store: &Store, wanting: &Wanting<'_>) -> Result<Result<Pick, Quarantined>, Refusal> {
        let key = self.keys.row_key();
        let stored = store.connections.secrets(&wanting.connection.id).await?;
        // A row that cannot be read is one that was edited: its owner replaces it, like one that fails its check.
        let rows: Result<Vec<SecretRow>, Quarantined> =
            stored.into_iter().map(|found| found.map_err(Quarantined::from)?.check(&key)).collect();
        let rows = match rows {
            Ok(rows) => rows,
            Err(quarantined) => return Ok(Err(quarantined)),
        };
        let given = self.given.get(&(wanting.connection.id.clone(), wanting.scopes.clone()));
        Ok(Ok(Choice {
            spec: wanting.spec,
            rows: &rows,
            held: &wanting.connection.scopes,
            approved: &wanting.approval.scopes,
            may_hold: wanting.may_hold,
            wanted: wanting.scopes,
            given_for_wanted: given.as_ref(),
            now: self.clock.now(),
        }
        .pick()))
    }

    /// What the provider gave decides, not what it was asked for.
    fn judge(&self, wanting: &Wanting<'_>, row: SecretRow) -> Access {
        if !wanting.scopes.is_subset(&row.scopes) {
            return Access::Need(ConsentReason::ScopesMissing, wanting.scopes.clone(), None);
        }
        self.given.insert((wanting.connection.id.clone(), wanting.scopes.clone()), row.scopes.clone());
        if !row.scopes.is_subset(&wanting.approval.scopes) && !(wanting.may_hold)(&row.scopes) {
            Access::Need(ConsentReason::WiderThanApproved, row.scopes, None)
        } else {
            Access::Ready(Box::new(row))
        }
    }
}

/// What a caller that has the turn found.
enum Begun {
    /// A refresh to be run; and a valid token, should it fail.
    Refresh(Box<Refreshing>, Option<Box<SecretRow>>),
    /// Nothing is left to do.
    Done(Access),
}

fn reauth(wanting: &Wanting<'_>) -> Access {
    Access::Need(ConsentReason::ReauthRequired, wanting.scopes.clone(), None)
}

fn settle(pick: Result<Pick, Quarantined>) -> Access {
    match pick {
        Ok(Pick::Serve(row)) => Access::Ready(row),
        Ok(Pick::Wider(scopes)) => Access::Need(ConsentReason::WiderThanApproved, scopes, None),
        Ok(Pick::Exhausted | Pick::Refresh { .. }) => {
            Access::Need(ConsentReason::ReauthRequired, ScopeSet::default(), None)
        }
        Err(quarantined) => {
            Access::Need(ConsentReason::ReauthRequired, ScopeSet::default(), Some(quarantined))
        }
    }
}

fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ProviderUnavailable
            | Reason::ProviderRateLimited
            | Reason::ProviderClientRejected
            | Reason::ProviderGrantRejected
            | Reason::ScopeUnknown
            // What comes cannot be kept right now: nothing was asked for.
            | Reason::StoreUnavailable
            | Reason::KeyUnavailable
    )
}
