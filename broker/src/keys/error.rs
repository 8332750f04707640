//! Why a key cannot be used. Never a reason to go on without one, and never with a value in it.

use crate::{domain::Reason, storage::StoreError};
use std::path::PathBuf;

/// Why a key ring gave no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wrapped keys cannot be read or stored right now.
    #[error("wrapped keys cannot be reached")]
    Unavailable(#[source] StoreError),
    /// Something was made with a key that this broker does not hold.
    #[error("no key {key} here: put the root key that wraps it back into the key file")]
    Unknown {
        /// The key's id.
        key: String,
    },
    /// The database has an audit log but no system key: its row was removed, and with a fresh one nothing in the database
    /// could be checked or opened any more.
    #[error(
        "the database has no system key, though it was used before: restore its tenant_keys rows from a backup"
    )]
    SystemKeyGone,
    /// A wrapped key does not unwrap: its row was edited, or the key file holds another key under that id.
    #[error("key {key} does not unwrap: its row was edited, or the key file holds another key under its id")]
    Tampered {
        /// The key's id.
        key: String,
    },
}

impl KeyError {
    /// What a caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::StoreUnavailable,
            Self::Unknown { .. } | Self::SystemKeyGone | Self::Tampered { .. } => Reason::KeyUnavailable,
        }
    }
}

/// Why a key file is refused (VA7). Each says what to do; none shows a value.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It cannot be read or written.
    #[error("key file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `generate` never overwrites: keys lost that way are lost for good.
    #[error("key file {} exists: move it away first if you truly want new keys", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory, a device or a pipe.
    #[error("key file {} is not a regular file: name the file itself", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner, and a group to which root lends it, may read or write it.
    #[error("key file {} is open to others (mode {mode:o}): run chmod 600 on it (440 will do where root owns it and lends it to a group of this process), and make new keys if others had access", .path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Over the size limit.
    #[error("key file {} is larger than {limit} bytes: it must hold keys only", .path.display())]
    TooBig {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not the expected JSON.
    #[error("key file {} is malformed at line {line}, column {column}: it must be {{\"keys\": [{{\"id\": …, \"key\": …}}]}} and nothing else", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// No key in it.
    #[error("key file {} holds no key: `broker init` makes one", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A key's id is not a name.
    #[error("key number {number}: its id must be 1 to 63 characters of a-z, 0-9, '-', '_' and '.'")]
    BadId {
        /// Its place in the file, from 1.
        number: usize,
    },
    /// Two keys have one id.
    #[error("key {id} is there twice: give every key its own id")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// Not standard base64.
    #[error("key {id} is not base64 with padding (RFC 4648 §4): write 32 random bytes that way")]
    NotBase64 {
        /// The id.
        id: String,
    },
    /// Too short or too long.
    #[error("key {id} has {length} bytes: it must have exactly 32")]
    WrongLength {
        /// The id.
        id: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Not random.
    #[error("key {id} is {what}, which anyone can guess: make a new one with `broker init`")]
    Guessable {
        /// The id.
        id: String,
        /// What it is.
        what: &'static str,
    },
}
