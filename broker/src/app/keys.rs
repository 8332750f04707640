//! What `broker keys` changes keys with, also while brokers serve the same database.

use super::{StartError, database::open_store_beside, open_keys};
use crate::{
    audit::{Audit, AuditConfig, Deadline, Refused, check_continuity},
    config::Config,
    crash::CrashPoints,
    domain::{Clock, Rng, TenantId},
    keys::{FileKeyring, KeyError, KeyRing},
    storage::{Store, Uses, WrappedKey},
    usecase::{self, RotateError, Rotated},
    vault::{Pace, Rewrap},
};
use std::{num::NonZeroU32, sync::Arc};

/// The keys of a database, without a broker around them.
pub struct KeyDesk {
    store: Store,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    points: CrashPoints,
}

impl KeyDesk {
    /// Opens the database and its keys.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        points: CrashPoints,
    ) -> Result<Self, StartError> {
        let keyring = FileKeyring::load(&config.keys.file)?;
        let store = open_store_beside(config).await?;
        let keys = open_keys(keyring, &store, &clock, &rng).await?;
        Ok(Self { store, keys, clock, rng, points })
    }

    /// A stream of the audit log's for what is done here. Close it.
    ///
    /// # Errors
    /// [`StartError::Audit`].
    pub async fn log(&self) -> Result<Log<'_>, StartError> {
        check_continuity(&*self.store.ledger, &*self.store.audit_log, &self.keys.audit_keys()).await?;
        let settings = AuditConfig { passing: true, points: self.points.clone(), ..AuditConfig::default() };
        let ledger = Arc::clone(&self.store.ledger);
        let audit =
            Audit::start(ledger, self.keys.clone(), self.clock.clone(), self.rng.clone(), settings).await?;
        Ok(Log { desk: self, audit })
    }

    /// Wraps what is sealed with the newest keys.
    pub fn rewrap(&self) -> Rewrap {
        let (store, points) = (Arc::clone(&self.store.rewraps), self.points.clone());
        Rewrap::new(store, Arc::clone(&self.keys), Arc::clone(&self.rng), points)
    }

    /// So many rows a second, from now on.
    pub fn pace(&self, per_second: NonZeroU32) -> Pace {
        Pace::new(Arc::clone(&self.clock), per_second)
    }

    /// Wraps a tenant's keys (`""` = the system's) with the root key that wraps; how many it was.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn rewrap_by_root(&self, tenant: &str) -> Result<u64, KeyError> {
        self.keys.rewrap_by_root(tenant).await
    }

    /// The stored keys, of whatever tenant, that another root key wraps than the one that wraps.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    pub async fn wrapped_by_other_roots(&self) -> Result<Vec<WrappedKey>, KeyError> {
        self.keys.wrapped_by_other_roots().await
    }

    /// Every tenant that has keys, also one that is no more in the configuration.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    pub async fn tenants_with_keys(&self) -> Result<Vec<TenantId>, KeyError> {
        let counts = self.store.wrapped_keys.counts().await.map_err(KeyError::Unavailable)?;
        Ok(counts.into_iter().filter_map(|(tenant, _)| TenantId::parse(&tenant).ok()).collect())
    }

    /// Whether the tenant has a key at all. One that nobody ever used has none.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    pub async fn has_keys(&self, tenant: &TenantId) -> Result<bool, KeyError> {
        let stored = self.store.wrapped_keys.tenant_keys(tenant.as_str()).await;
        Ok(!stored.map_err(KeyError::Unavailable)?.is_empty())
    }
}

/// Where what is done at the desk is written down.
pub struct Log<'a> {
    desk: &'a KeyDesk,
    audit: Audit,
}

impl Log<'_> {
    /// Gives a tenant a further key.
    ///
    /// # Errors
    /// [`RotateError`].
    pub async fn rotate(&self, tenant: &TenantId) -> Result<Rotated, RotateError> {
        usecase::rotate_tenant_key(&self.desk.keys, &self.audit, &*self.desk.rng, tenant).await
    }

    /// Says what was wrapped anew.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn rewrapped(
        &self,
        tenant: &TenantId,
        newest: &str,
        rows: Uses,
        keys: u64,
    ) -> Result<(), Refused> {
        usecase::record_rewrap(&self.audit, &*self.desk.rng, tenant, newest, rows, keys).await
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Refused`]: a broker will end it.
    pub async fn close(self) -> Result<(), Refused> {
        self.audit.close(Deadline::none()).await
    }
}
