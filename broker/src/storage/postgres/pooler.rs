//! Whether what stands before the server keeps prepared statements. One that does not works for a while and fails under load.

use super::{OpenError, error::unavailable};
use sqlx::PgPool;
use std::time::Duration;

/// Prepared by one connection, and used by it again while another has taken the session in which that was done.
const PROBE: &str = "SELECT 7233108";
/// What the other one prepares, as its first too, and therefore by the same name.
const OTHER: &str = "SELECT 7233109";
/// A pooler that has one session only keeps the second use waiting for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// Refuses a pooler that hands out sessions by transaction and forgets what was prepared in them.
pub(super) async fn check(pool: &PgPool) -> Result<(), OpenError> {
    // Both first: making a connection uses a session too.
    let mut asking = pool.acquire().await.map_err(unavailable)?;
    let mut other = pool.acquire().await.map_err(unavailable)?;
    sqlx::query(PROBE).execute(&mut *asking).await.map_err(fault)?;
    // Poolers give the session that was used last to whoever comes next.
    sqlx::raw_sql("BEGIN").execute(&mut *other).await.map_err(unavailable)?;
    let apart = sqlx::query(OTHER).execute(&mut *other).await;
    let again = tokio::time::timeout(PATIENCE, sqlx::query(PROBE).execute(&mut *asking)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.map_err(unavailable)?;
    apart.map_err(fault)?;
    match again {
        Ok(done) => done.map(drop).map_err(fault),
        Err(_) => {
            drop(asking.detach());
            Ok(())
        }
    }
}

/// The name is not known in the session at hand, or was given to something else there (PostgreSQL's manual, Appendix A).
fn fault(error: sqlx::Error) -> OpenError {
    let code = error.as_database_error().and_then(|error| error.code());
    if matches!(code.as_deref(), Some("26000" | "42P05")) {
        return OpenError::Server(
            "is behind a pooler that loses prepared statements: pgbouncer keeps them from 1.21 on, where `max_prepared_statements` is \
             above 0; or lead `storage.postgres.url` past it",
        );
    }
    OpenError::Store(unavailable(error))
}
