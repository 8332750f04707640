//! Why storage did not answer.

/// Why storage did not answer. Never means "absent".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is full, read-only or too slow.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A stored value does not have the shape its column promises.
    #[error("{table}.{column} holds a malformed value")]
    Malformed {
        /// Where.
        table: &'static str,
        /// Where.
        column: &'static str,
    },
    /// A row was tagged with a key that is not known here, which is no sign that somebody edited it.
    #[error("a row of {table} was tagged with a key that is not known")]
    KeyUnknown {
        /// Where.
        table: &'static str,
    },
    /// The stream's head is not where its writer left it: this writer must end (AU8).
    #[error("the audit stream's head moved")]
    HeadMoved,
    /// A revocation rule failed its integrity check: nothing may be issued.
    #[error("a revocation rule failed its integrity check")]
    RuleTampered,
    /// Something that was to be inserted exists.
    #[error("it exists already")]
    Exists,
}
