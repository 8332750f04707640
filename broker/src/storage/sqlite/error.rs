//! What SQLite and sqlx say, in the storage room's words. Nothing that came from a row or a bind reaches a message.

use crate::storage::StoreError;

/// Maps a database error. The text is one of a fixed list: SQLite's own messages may quote values.
pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(describe(&error))
}

fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
            format!("{} (SQLite code {code})", words(code & 0xff))
        }
        sqlx::Error::Io(error) => format!("input/output error: {}", error.kind()),
        sqlx::Error::PoolTimedOut => "no connection was free in time".to_owned(),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the connection is closed".to_owned(),
        _ => "the statement failed".to_owned(),
    }
}

/// SQLite's primary result codes (sqlite.org/rescode.html).
fn words(primary: i32) -> &'static str {
    match primary {
        5 | 6 => "it is locked",
        8 => "it is read-only",
        10 => "the disk failed",
        11 | 26 => "the file is damaged or not a database",
        13 => "the disk is full",
        14 => "the file cannot be opened",
        19 => "a constraint or trigger refused the write",
        _ => "the statement failed",
    }
}

/// Whether a unique key refused the row.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Whether the row is there already: a unique key says so, or, before it is asked, the trigger that keeps a log
/// insert-only (SQLITE_CONSTRAINT_TRIGGER).
pub(super) fn is_there(error: &sqlx::Error) -> bool {
    let by_trigger =
        |database: &dyn sqlx::error::DatabaseError| database.code().is_some_and(|code| code == "1811");
    is_duplicate(error) || error.as_database_error().is_some_and(by_trigger)
}
