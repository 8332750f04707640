//! A pool whose statements are waited for only so long. The server ends by itself what takes too long; but a server, a network or an
//! address that is gone without a word ends nothing, and its connection would be waited for until the operating system gives it up.

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::{
    Connection, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// What a connection gets to answer that it lives, or to end the statement of a caller that no longer waits, before it is thrown away.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// The pool of single statements.
#[derive(Clone, Debug)]
pub(super) struct PatientPool {
    /// Without patience of its own, for transactions.
    pub(super) plain: PgPool,
    /// Longer than the server lets a statement run (`statement_timeout`), so that its own answer comes first where there is one.
    pub(super) patience: Duration,
}

type Step = Either<PgQueryResult, PgRow>;

/// A connection in use. Dropped while a statement is under way, it is not handed to anybody else before it has answered.
struct Busy(Option<PoolConnection<Postgres>>);

impl PatientPool {
    /// Everything a query yields: what this pool is asked for is small.
    async fn all<'q>(self, query: impl Execute<'q, Postgres> + 'q) -> Result<Vec<Step>, sqlx::Error> {
        self.with(async |connection| connection.fetch_many(query).try_collect().await).await
    }

    async fn with<T>(
        self,
        work: impl AsyncFnOnce(&mut PoolConnection<Postgres>) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut busy = Busy(Some(self.plain.acquire().await?));
        let connection = busy.0.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let done = tokio::time::timeout(self.patience, work(connection)).await;
        let connection = busy.0.take();
        done.unwrap_or_else(|_| {
            drop(connection.map(PoolConnection::detach));
            Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return drop(connection.detach()) };
        runtime.spawn(async move {
            if !matches!(tokio::time::timeout(LAST_CHANCE, connection.ping()).await, Ok(Ok(()))) {
                drop(connection.detach());
            }
        });
    }
}

impl<'p> Executor<'p> for &PatientPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = self.clone().all(query);
        stream::once(all).map_ok(|steps| stream::iter(steps).map(Ok)).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(pool.with(async |connection| connection.fetch_optional(query).await))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(pool.with(async |connection| connection.prepare_with(sql, parameters).await))
    }
}

/// When one of a pool's idle connections was last found dead. Whatever is gone without a word usually takes all of them along; asked one
/// after the other they would cost seconds each, and nobody would get through to a new one.
#[derive(Debug, Default)]
pub(super) struct Loss(Mutex<Option<Instant>>);

impl Loss {
    /// Whether a connection that was idle for so long may be used.
    ///
    /// # Errors
    /// It does not answer, or was last used before another one was found not to: it is to be replaced.
    pub(super) async fn check(
        &self,
        connection: &mut impl Connection,
        idle_for: Duration,
    ) -> Result<(), sqlx::Error> {
        let gone = || sqlx::Error::Io(io::ErrorKind::TimedOut.into());
        let used = Instant::now().checked_sub(idle_for);
        if self.noticed().is_some_and(|noticed| used.is_none_or(|used| used < noticed)) {
            return Err(gone());
        }
        let asked = tokio::time::timeout(LAST_CHANCE, connection.ping()).await;
        asked.unwrap_or_else(|_| Err(gone())).inspect_err(|_| *self.lock() = Some(Instant::now()))
    }

    fn noticed(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
