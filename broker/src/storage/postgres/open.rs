//! Opening the database for serving.

use super::{
    PostgresStore, WAKEUP_BACKLOG, connect, error::unavailable, listen, migrate, patient::PatientPool,
    pooler, server,
};
use crate::{
    config::Postgres,
    storage::{SchemaError, StoreError},
};
use std::sync::Arc;
use tokio::sync::{Mutex, broadcast};

/// Months whose partitions of the log are kept ahead.
const MONTHS_AHEAD: i32 = 3;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server is not one that can be trusted with it.
    #[error("the database server {0}")]
    Server(&'static str),
    /// The role could edit the log.
    #[error(
        "the broker's database role has more rights than serving needs: let `broker migrate` run as the owner, and name a role that \
         owns nothing in `storage.postgres.url`"
    )]
    TooManyRights,
    /// Its schema is not the one this binary works with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PostgresStore {
    /// Opens the database for serving, and starts to hear wake-ups.
    ///
    /// # Errors
    /// [`OpenError`]; [`SchemaError::Pending`] when it needs `broker migrate`.
    pub async fn open(config: &Postgres) -> Result<Self, OpenError> {
        let mut store = Self::open_deaf(config).await?;
        // A partition that cannot be made now is made at another start; until then the default partition takes its rows.
        let ahead =
            sqlx::query("SELECT audit_partitions_ahead($1)").bind(MONTHS_AHEAD).execute(&store.pool).await;
        if let Err(error) = ahead.map_err(unavailable) {
            tracing::warn!(%error, "partitions of the audit log could not be made ahead");
        }
        store._listener = Some(listen::start(config, store.name.clone(), store.changed.clone())?);
        Ok(store)
    }

    /// The same without wake-ups of others, for commands that end soon.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_deaf(config: &Postgres) -> Result<Self, OpenError> {
        let pool = connect::pool(config).await?;
        pooler::check(&pool).await?;
        let name = server::check(&pool, config.development).await?;
        let mut connection = pool.acquire().await.map_err(unavailable)?;
        migrate::check_schema(&mut connection).await?;
        drop(connection);
        server::check_rights(&pool, config.development).await?;
        Ok(Self {
            pool: PatientPool { plain: pool, patience: connect::PATIENCE },
            log_readers: PatientPool {
                plain: connect::log_readers(config)?,
                patience: connect::LOG_PATIENCE,
            },
            turn: Arc::new(Mutex::new(())),
            changed: broadcast::Sender::new(WAKEUP_BACKLOG),
            recently_used: Arc::default(),
            name: name.into(),
            _listener: None,
        })
    }
}
