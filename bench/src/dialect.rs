//! Which database the broker under measurement runs on.

use broker::config::Storage;

/// A database the broker runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Dialect {
    /// SQLite: one process, one file.
    Sqlite,
}

impl Dialect {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }

    /// Whether several brokers may serve one database.
    pub fn has_replicas(self) -> bool {
        match self {
            Self::Sqlite => false,
        }
    }

    /// The broker's configuration with its rows in this kind of database; the demo's own is SQLite.
    pub fn configure(self, config: String) -> String {
        match self {
            Self::Sqlite => config,
        }
    }

    /// An empty database beside the broker's, on the same disk and with the same settings, for the floor.
    pub fn beside(self, storage: &Storage) -> Storage {
        match storage {
            Storage::Sqlite { path } => Storage::Sqlite { path: path.with_file_name("floor.db") },
        }
    }
}
