//! The finished parts a use case works with. Made once, in `app.rs`.

use crate::{
    audit::{Audit, Refusals},
    config::Settings,
    connection::Tokens,
    domain::{Clock, Names, ProviderId, ProviderSpec, Refusal, Reason, Rng, RowKey, WorkloadId},
    identity::Identity,
    keys::KeyRing,
    policy::Policy,
    provider::Engine,
    storage::Store,
    vault::Vault,
};
use std::{collections::HashMap, sync::Arc};

/// Everything below transport.
pub struct Rooms {
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
    /// Keys.
    pub keys: Arc<KeyRing>,
    /// Who is calling.
    pub identity: Identity,
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
            Refusal::because(Reason::ProviderUnknown, "No provider of that name is configured; check the name.")
                .with("provider", id.as_str())
        })
    }

    /// What people call a workload: operator configuration, never the caller's words (ID16).
    pub fn workload_name(&self, id: &WorkloadId) -> String {
        self.identity.workload_name(id).unwrap_or_else(|| id.to_string())
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
