//! What PostgreSQL and sqlx say, in the storage room's words. Nothing that came from a row, a bind or a URL reaches a message.

use crate::storage::StoreError;

/// Maps a database error. The text is one of a fixed list: PostgreSQL's own messages may quote values.
pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(describe(&error))
}

pub(super) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // Five letters and digits, and nothing a row could hold.
            let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
            format!("{} (SQLSTATE {code})", words(&code))
        }
        sqlx::Error::Io(error) => match error.get_ref().and_then(|source| source.downcast_ref()) {
            Some(error) => tls(error).to_owned(),
            None => format!("input/output error: {}", error.kind()),
        },
        sqlx::Error::Tls(error) => error.downcast_ref().map_or(NO_TLS, tls).to_owned(),
        sqlx::Error::PoolTimedOut => "no connection was free in time".to_owned(),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the connection is closed".to_owned(),
        sqlx::Error::Protocol(_) => "the server's answer was not understood".to_owned(),
        _ => "the statement failed".to_owned(),
    }
}

/// What sqlx says without a source, when the server declines TLS; or its files cannot be read.
const NO_TLS: &str =
    "TLS with the server failed: it offers none, or `ca_file` is not a list of certificates in PEM";

/// What is wrong with the server's certificate.
fn tls(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError as Bad, Error};
    match error {
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "the server's certificate is not for the host that the URL names"
        }
        Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "nobody who is trusted vouches for the server's certificate: see `ca_file`"
        }
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the server's certificate is over"
        }
        Error::InvalidCertificate(_) => "the server's certificate is not valid",
        _ => "TLS with the server failed",
    }
}

/// PostgreSQL's error codes (Appendix A of its manual).
fn words(code: &str) -> &'static str {
    match code {
        "25006" => "it is read-only",
        "40001" | "40P01" => "another transaction was in the way",
        "42501" => "its role may not do that",
        "53100" => "the disk is full",
        "53300" => "it has no connection left",
        "55P03" => "a lock was not free in time",
        "57014" => "the statement took too long",
        "57P01" | "57P02" | "57P03" | "25P03" | "57P05" => "the server ended the connection",
        "22021" => "a text holds a character it cannot store",
        _ if code.starts_with("08") => "the connection failed",
        _ if code.starts_with("28") => "the server refused the user or password",
        _ if code.starts_with("23") => "a constraint or trigger refused the write",
        _ if code.starts_with("3D") => "there is no such database",
        _ if code.starts_with("42") => "its schema is not the expected one",
        _ => "the statement failed",
    }
}

/// Whether a unique key refused the row.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Whether the connection is gone, rather than the statement refused.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            code.starts_with("57P") || code.starts_with("08")
        }
        _ => false,
    }
}

/// Whether a lock was not free in time.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "55P03")
}
