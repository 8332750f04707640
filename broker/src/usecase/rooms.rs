//! The finished parts a use case works with. Made once, in `app.rs`.

use super::{fleet_buckets::FleetBuckets, lines::Lines};
use crate::{
    audit::{Audit, Refusals},
    config::{Limits, RefreshAhead},
    connection::Tokens,
    crash::CrashPoints,
    domain::{
        Clock, ConsentId, Names, ParentId, ProviderId, ProviderSpec, Reason, Refusal, Rng, RowKey, TenantId,
        WorkloadId,
    },
    identity::Identity,
    keys::KeyRing,
    metrics::Metrics,
    policy::Policy,
    provider::Engine,
    relay::Relay,
    storage::Store,
    trace::Sampling,
    vault::Vault,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio_util::task::TaskTracker;
use url::Url;

/// What the operator configured, as use cases need it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where people reach the pages.
    pub public_url: Url,
    /// How long a consent's link works.
    pub consent_lifetime: Duration,
    /// Most open consents of one person.
    pub max_open_consents: u32,
    /// How much is taken on at once.
    pub limits: Limits,
    /// Which connections are refreshed before anybody asks.
    pub refresh_ahead: RefreshAhead,
    /// Every configured tenant.
    pub tenants: Vec<TenantId>,
    /// What people call the workloads (ID16).
    pub workload_names: HashMap<WorkloadId, String>,
    /// The workloads' roles, for policy.
    pub workload_roles: HashMap<WorkloadId, Arc<BTreeSet<String>>>,
    /// The providers a workload may ask for at all; a workload not in here may ask for any.
    pub workload_providers: HashMap<WorkloadId, BTreeSet<ProviderId>>,
}

/// Everything below transport.
pub struct Rooms {
    /// What the platform sees.
    pub metrics: Metrics,
    /// Which calls are traced.
    pub sampling: Sampling,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// What the operator configured.
    pub settings: Settings,
    /// Providers by name.
    pub providers: Arc<HashMap<ProviderId, ProviderSpec>>,
    /// Tables.
    pub store: Store,
    /// The same, with rows that may be a moment old: only for finding everything an issuance needs.
    pub hot: Store,
    /// Keys.
    pub keys: Arc<KeyRing>,
    /// Who is calling.
    pub identity: Identity,
    /// Where signatures of credentials and assertions are waited for.
    pub lines: Lines,
    /// What other replicas say, where there is Redis.
    pub relay: Relay,
    /// How often persons call who have shown who they are.
    pub persons: FleetBuckets,
    /// Decides.
    pub policy: Arc<Policy>,
    /// Writes down.
    pub audit: Arc<Audit>,
    /// Refusals that are summed up instead of written one by one.
    pub refusals: Arc<Refusals>,
    /// Seals and opens.
    pub vault: Arc<Vault>,
    /// Speaks OAuth.
    pub engine: Arc<Engine>,
    /// Fresh access tokens.
    pub tokens: Arc<Tokens>,
    /// Where this process dies, in tests.
    pub points: CrashPoints,
    /// Work that outlives its caller; waited for before the log is closed (AV5).
    pub detached: TaskTracker,
}

impl Rooms {
    /// The key that checks rows.
    pub fn row_key(&self) -> RowKey {
        self.keys.row_key()
    }

    /// A provider by name.
    ///
    /// # Errors
    /// [`Reason::ProviderUnknown`].
    pub fn provider(&self, id: &ProviderId) -> Result<&ProviderSpec, Refusal> {
        self.providers.get(id).ok_or_else(|| {
            Refusal::because(
                Reason::ProviderUnknown,
                "No provider of that name is configured; check the name.",
            )
            .with("provider", id.as_str())
        })
    }

    /// A provider that `workload` may ask for.
    ///
    /// # Errors
    /// [`Reason::ProviderUnknown`]; [`Reason::PolicyDenied`] for one that is not on the workload's list.
    pub fn provider_for(&self, workload: &WorkloadId, id: &ProviderId) -> Result<&ProviderSpec, Refusal> {
        let spec = self.provider(id)?;
        match self.settings.workload_providers.get(workload) {
            Some(allowed) if !allowed.contains(id) => {
                let sentence = "This server is not configured for that provider; ask the operator.";
                Err(Refusal::because(Reason::PolicyDenied, sentence).with("provider", id.as_str()))
            }
            _ => Ok(spec),
        }
    }

    /// What people call a workload: operator configuration, never the caller's words (ID16).
    pub fn workload_name(&self, id: &WorkloadId) -> String {
        self.settings.workload_names.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The link for a consent: a handle and nothing else (CO1).
    pub fn consent_url(&self, consent: &ConsentId) -> String {
        self.page(&["consent", &self.keys.consent_handle(consent)]).to_string()
    }

    /// The link for a parent page: a handle and nothing else.
    pub fn parent_url(&self, parent: &ParentId) -> String {
        self.page(&["consents", &self.keys.parent_handle(parent)]).to_string()
    }

    /// Where a provider sends the browser back: one redirect URI each (CO5).
    pub fn redirect_uri(&self, provider: &ProviderId) -> Url {
        self.page(&["oauth", "callback", provider.as_str()])
    }

    fn page(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.public_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Refuses if one of `names` is blocked (ID11). Returns the epoch at which that was so.
    ///
    /// # Errors
    /// [`Reason::Blocked`].
    pub fn not_blocked(&self, names: &Names) -> Result<i64, Refusal> {
        let rules = self.audit.rules();
        match rules.block_on(names) {
            Some(rule) => Err(Refusal::new(Reason::Blocked).with("blocked", rule.target.kind())),
            None => Ok(rules.epoch()),
        }
    }
}
