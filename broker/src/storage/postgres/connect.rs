//! Connections: TLS, limits in time, and what the pool keeps to.

use super::{error::unavailable, patient::Loss};
use crate::{config::Postgres, domain::SecretString, storage::StoreError};
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is replaced after this, so that load follows a failover or a new pooler.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// A connection used within this is not asked whether it still lives.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Connections that read the audit log.
const LOG_READERS: u32 = 2;
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Limits of a session. Behind a pooler they reach whichever of its connections happens to serve; the ledger's transactions set their
/// own, and `ALTER ROLE … SET` makes them certain for the rest.
const LIMITS: &[&str] = &["SET statement_timeout = '5s'", COMMON_LIMITS];
/// The same for reading the log: a filter that few rows match walks many.
const LOG_LIMITS: &[&str] = &["SET statement_timeout = '30s'", COMMON_LIMITS];
/// What the broker waits for an answer, where the server gives none: a little longer than the server takes at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// The same for reading the log.
pub(super) const LOG_PATIENCE: Duration = Duration::from_secs(33);
const COMMON_LIMITS: &str = "\
SET lock_timeout = '2s';
SET idle_in_transaction_session_timeout = '5s';
SET tcp_user_timeout = '10s';
SET tcp_keepalives_idle = '30s';
SET tcp_keepalives_interval = '10s';
SET tcp_keepalives_count = 3;
SET client_connection_check_interval = '1s'";

/// How to reach the database under `url`. The URL was checked when the configuration was read; a fault is told without repeating it.
pub(super) fn options(
    url: &SecretString,
    tls: bool,
    ca: Option<&Path>,
) -> Result<PgConnectOptions, StoreError> {
    let refused = || StoreError::Unavailable("its URL is not understood".to_owned());
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| refused())?;
    // What the environment says (PGSSLMODE and the like) must not weaken what the configuration says.
    let socket = options.get_socket().is_some();
    let mode = if tls && !socket { PgSslMode::VerifyFull } else { PgSslMode::Disable };
    let options = options
        .ssl_mode(mode)
        .application_name("broker")
        // A parameter that poolers refuse, and floats that the schema does not have.
        .extra_float_digits(None)
        // Off: sqlx would log every statement's text at debug level, once per row of work.
        .disable_statement_logging();
    Ok(match ca {
        Some(file) => options.ssl_root_cert(file),
        None => options,
    })
}

/// The pool of the serving process.
pub(super) async fn pool(config: &Postgres) -> Result<PgPool, StoreError> {
    let options = options(&config.url, config.tls, config.ca_file.as_deref())?;
    let pool = pool_options(config.max_connections, LIMITS);
    pool.connect_with(options).await.map_err(unavailable)
}

/// The pool of those who read the audit log, made when first used: one who reads all of it keeps nobody else waiting.
pub(super) fn log_readers(config: &Postgres) -> Result<PgPool, StoreError> {
    let options = options(&config.url, config.tls, config.ca_file.as_deref())?;
    Ok(pool_options(LOG_READERS, LOG_LIMITS).connect_lazy_with(options))
}

fn pool_options(connections: u32, limits: &'static [&'static str]) -> PgPoolOptions {
    let loss = Arc::new(Loss::default());
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .idle_timeout(IDLE_TIMEOUT)
        // Instead of a round trip before every use: one where the connection has been idle long enough to have been lost.
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let loss = Arc::clone(&loss);
            Box::pin(async move {
                if about.idle_for > TRUSTED_FOR {
                    loss.check(connection, about.idle_for).await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for limit in limits {
                    connection.execute(*limit).await?;
                }
                Ok(())
            })
        })
}

/// For the one connection that listens.
pub(super) fn listener(config: &Postgres) -> Result<PgPool, StoreError> {
    let options = options(&config.direct_url, config.tls, config.ca_file.as_deref())?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}
