//! Which database a run of the tests stands on.

/// The environment variable that chooses.
pub const VARIABLE: &str = "TEST_DIALECT";

/// A database system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, the default.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// What `TEST_DIALECT` says: `sqlite`, `postgres`, or nothing.
    ///
    /// # Panics
    /// When it says something else.
    pub fn of_this_run() -> Dialect {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("sqlite") => Dialect::Sqlite,
            Ok("postgres") => Dialect::Postgres,
            Ok(_) => panic!("{VARIABLE} is sqlite or postgres"),
        }
    }
}
