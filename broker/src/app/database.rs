//! Which store a configuration names.

use super::StartError;
use crate::{
    config::{Config, Storage},
    domain::{Clock, SecretString},
    storage::{
        AppliedMigration, Approvals, AuditLog, Connections, Consents, Endings, Ledger, Parents, Pools,
        PostgresStore, Requests, Rewraps, Sessions, SqliteStore, Store, Wakeups, WrappedKeys, postgres,
        sqlite,
    },
};
use std::sync::Arc;

/// Opens the database named by the configuration.
///
/// # Errors
/// [`StartError::Sqlite`], [`StartError::Postgres`].
pub async fn open_store(config: &Config, clock: &dyn Clock) -> Result<Store, StartError> {
    Ok(match &config.storage {
        Storage::Sqlite { path } => store(Arc::new(SqliteStore::open(path, clock.now()).await?)),
        Storage::Postgres(postgres) => store(Arc::new(PostgresStore::open(postgres).await?)),
    })
}

/// Opens it for a command that reads, also while a broker serves it.
///
/// # Errors
/// As [`open_store`].
pub async fn open_store_read_only(config: &Config) -> Result<Store, StartError> {
    Ok(match &config.storage {
        Storage::Sqlite { path } => store(Arc::new(SqliteStore::open_read_only(path).await?)),
        Storage::Postgres(postgres) => store(Arc::new(PostgresStore::open_deaf(postgres).await?)),
    })
}

/// Opens it for a command that changes keys, also while brokers serve it.
///
/// # Errors
/// As [`open_store`].
pub(super) async fn open_store_beside(config: &Config) -> Result<Store, StartError> {
    Ok(match &config.storage {
        Storage::Sqlite { path } => store(Arc::new(SqliteStore::open_beside(path).await?)),
        Storage::Postgres(postgres) => store(Arc::new(PostgresStore::open_deaf(postgres).await?)),
    })
}

/// Brings it to this binary's schema. On PostgreSQL as the role of `owner_url`, and the role of the configuration gets the rights of a
/// serving broker; without an `owner_url` the configured role is the owner.
///
/// # Errors
/// As [`open_store`], and [`StartError::Schema`].
pub async fn migrate(
    config: &Config,
    owner_url: Option<&SecretString>,
    clock: &dyn Clock,
) -> Result<Vec<AppliedMigration>, StartError> {
    Ok(match &config.storage {
        Storage::Sqlite { path } => sqlite::migrate_file(path, clock.now()).await?,
        Storage::Postgres(postgres) => {
            postgres::migrate::migrate_database(postgres, owner_url, clock.now()).await?
        }
    })
}

/// What the semantic conventions call it (`db.system.name`).
pub(super) fn system(config: &Config) -> &'static str {
    match &config.storage {
        Storage::Sqlite { .. } => "sqlite",
        Storage::Postgres(_) => "postgresql",
    }
}

fn store<S>(store: Arc<S>) -> Store
where
    S: Connections
        + Endings
        + Approvals
        + Consents
        + Parents
        + Sessions
        + Requests
        + WrappedKeys
        + Rewraps
        + Ledger
        + AuditLog
        + Wakeups
        + Pools
        + 'static,
{
    Store {
        connections: store.clone(),
        endings: store.clone(),
        approvals: store.clone(),
        consents: store.clone(),
        parents: store.clone(),
        sessions: store.clone(),
        requests: store.clone(),
        wrapped_keys: store.clone(),
        rewraps: store.clone(),
        ledger: store.clone(),
        audit_log: store.clone(),
        wakeups: store.clone(),
        pools: store,
    }
}
