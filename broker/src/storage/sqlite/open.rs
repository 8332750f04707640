//! Opening the file: owner-only modes, one serving process, WAL with every commit on disk.

use super::{
    SqliteStore,
    error::unavailable,
    migrate::{self, AppliedMigration, SchemaError},
    writer::Writer,
};
use crate::{domain::Timestamp, storage::StoreError};
use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Read connections. SQLite reads from memory-mapped pages; more than a few gain nothing.
const READERS: u32 = 4;
/// Connections for looking through the audit log.
const LOG_READERS: u32 = 2;
/// How long a statement waits for a lock another process holds (an operator's `sqlite3` shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a read waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves or migrates it.
    #[error("another process uses the database {}", .0.display())]
    InUse(PathBuf),
    /// The file or its lock file cannot be created, opened or made private.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its schema is not the one this binary works with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SqliteStore {
    /// Opens the database for serving and holds it: no second process can. A file that does not exist or is empty is created
    /// (mode 0600) and set up; `now` is written beside the migrations.
    ///
    /// # Errors
    /// [`OpenError`]; [`SchemaError::Pending`] when the file has a schema that needs `broker migrate`.
    pub async fn open(path: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let path = create_private(path)?;
        let lock = lock(&path)?;
        let options = options(&path);
        let mut connection = options.connect().await.map_err(unavailable)?;
        make_private(&path)?;
        if migrate::is_empty(&mut connection).await? {
            migrate::set_up(&mut connection, now).await?;
        }
        migrate::check_schema(&mut connection).await?;
        let reading = options.clone().read_only(true);
        Ok(Self::assemble(Writer::new(connection, options), readers(&reading), Some(lock)))
    }

    /// Opens an existing database for a command that writes a little, also while another process serves it: in short transactions, and
    /// it ends nobody's stream.
    ///
    /// # Errors
    /// [`OpenError`]; a missing file is an error.
    pub async fn open_beside(path: &Path) -> Result<Self, OpenError> {
        let options = options(path);
        let mut connection = options.connect().await.map_err(unavailable)?;
        migrate::check_schema(&mut connection).await?;
        let reading = options.clone().read_only(true);
        Ok(Self::assemble(Writer::new(connection, options), readers(&reading), None))
    }

    /// Opens an existing database for reading only, also while another process serves it. Every write is `Unavailable`.
    ///
    /// # Errors
    /// [`OpenError`]; a missing file is an error.
    pub async fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        let options = options(path).read_only(true).create_if_missing(false);
        let mut connection = options.connect().await.map_err(unavailable)?;
        migrate::check_schema(&mut connection).await?;
        connection.close().await.map_err(unavailable)?;
        Ok(Self::assemble(Writer::refusing(), readers(&options), None))
    }
}

/// Connections for what answers callers, and for those who look through the log.
fn readers(options: &SqliteConnectOptions) -> [SqlitePool; 2] {
    [READERS, LOG_READERS].map(|connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone())
    })
}

/// Brings the file at `path` to this binary's schema, creating it when missing, and says what was applied.
///
/// # Errors
/// [`OpenError`]; [`OpenError::InUse`] while a broker serves it.
pub async fn migrate_file(path: &Path, now: Timestamp) -> Result<Vec<AppliedMigration>, OpenError> {
    let path = create_private(path)?;
    let _lock = lock(&path)?;
    let mut connection = options(&path).connect().await.map_err(unavailable)?;
    make_private(&path)?;
    let applied = migrate::migrate(&mut connection, now).await?;
    connection.close().await.map_err(unavailable)?;
    Ok(applied)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // Off: sqlx would log every statement's text at debug level, once per row of work.
        .disable_statement_logging()
}

/// Creates the file if it is missing, readable by its owner alone, and returns its one true path: two names of one file
/// must meet in one lock file.
fn create_private(path: &Path) -> Result<PathBuf, OpenError> {
    let fail = |source| OpenError::File { path: path.to_owned(), source };
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    let path = path.canonicalize().map_err(fail)?;
    make_private(&path)?;
    Ok(path)
}

/// SQLite gives `-wal` and `-shm` the mode of the database when it creates them; ones left by somebody else are set right here.
fn make_private(path: &Path) -> Result<(), OpenError> {
    for suffix in ["", "-wal", "-shm"] {
        let file = with_suffix(path, suffix);
        match std::fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            other => other.map_err(|source| OpenError::File { path: file, source })?,
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = with_suffix(path, ".lock");
    let fail = |source| OpenError::File { path: lock_path.clone(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
