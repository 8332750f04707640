//! Rows of every dialect as domain values, one file per table group.
//!
//! Reads columns into domain values. What a column does not promise is [`StoreError::Malformed`]: never skipped, never a panic.

use crate::domain::{
    Authority, Owner, QuarantinedRow, RealmId, RowMac, ScopeSet, Subject, Tagged, TenantId, Timestamp,
    ids::BadId,
};
use crate::storage::StoreError;
use sqlx::{Row, postgres::PgRow, sqlite::SqliteRow};

pub(in crate::storage) mod approvals;
pub(in crate::storage) mod audit;
pub(in crate::storage) mod connections;
pub(in crate::storage) mod consents;
pub(in crate::storage) mod parents;
pub(in crate::storage) mod requests;
pub(in crate::storage) mod rewraps;
pub(in crate::storage) mod rules;
pub(in crate::storage) mod sessions;
pub(in crate::storage) mod wrapped_keys;

/// One row among others, or the row that could not be read: it is quarantined like one that fails its check, and stops nothing
/// that is done with the others (VA9). Reads of one row by its id answer [`StoreError::Malformed`] instead.
pub type Readable<T> = Result<T, QuarantinedRow>;

/// The column types both dialects have. `None` = NULL.
pub(in crate::storage) trait Columns {
    fn text(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
    fn number(&self, column: &str) -> Result<Option<i64>, sqlx::Error>;
    fn blob(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;
    /// A text's bytes, also where they are no text.
    fn bytes_of_text(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;
}

macro_rules! columns {
    ($row:ty, $bytes:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
                self.try_get(column)
            }

            fn number(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }

            fn blob(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
                self.try_get(column)
            }

            fn bytes_of_text(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
                Ok(self.try_get::<Option<$bytes>, _>(column)?.map(Into::into))
            }
        }
    };
}

// SQLite keeps whatever bytes it is told are text; PostgreSQL refuses them.
columns!(SqliteRow, Vec<u8>);
columns!(PgRow, String);

/// One row being read.
pub(in crate::storage) struct Cells<'r, R> {
    row: &'r R,
    table: &'static str,
}

impl<'r, R: Columns> Cells<'r, R> {
    pub(in crate::storage) fn new(row: &'r R, table: &'static str) -> Self {
        Self { row, table }
    }

    pub(in crate::storage) fn malformed(&self, column: &'static str) -> StoreError {
        StoreError::Malformed { table: self.table, column }
    }

    fn present<T>(
        &self,
        column: &'static str,
        value: Result<Option<T>, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.perhaps(column, value)?.ok_or_else(|| self.malformed(column))
    }

    fn perhaps<T>(
        &self,
        column: &'static str,
        value: Result<Option<T>, sqlx::Error>,
    ) -> Result<Option<T>, StoreError> {
        value.map_err(|_| self.malformed(column))
    }

    pub(in crate::storage) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.present(column, self.row.text(column))
    }

    pub(in crate::storage) fn optional_text(
        &self,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        self.perhaps(column, self.row.text(column))
    }

    pub(in crate::storage) fn number(&self, column: &'static str) -> Result<i64, StoreError> {
        self.present(column, self.row.number(column))
    }

    /// What a `count(*)` came to.
    pub(in crate::storage) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.number(column)?).map_err(|_| self.malformed(column))
    }

    pub(in crate::storage) fn blob(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.present(column, self.row.blob(column))
    }

    pub(in crate::storage) fn optional_blob(
        &self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.perhaps(column, self.row.blob(column))
    }

    pub(in crate::storage) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp::from_micros)
    }

    pub(in crate::storage) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.perhaps(column, self.row.number(column))?.map(Timestamp::from_micros))
    }

    pub(in crate::storage) fn optional_number(
        &self,
        column: &'static str,
    ) -> Result<Option<i64>, StoreError> {
        self.perhaps(column, self.row.number(column))
    }

    /// 0 or 1.
    pub(in crate::storage) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.number(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.malformed(column)),
        }
    }

    /// A SHA-256, 32 bytes.
    pub(in crate::storage) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        self.blob(column)?.try_into().map_err(|_| self.malformed(column))
    }

    pub(in crate::storage) fn optional_hash(
        &self,
        column: &'static str,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let bytes = self.optional_blob(column)?;
        bytes.map(|b| b.try_into().map_err(|_| self.malformed(column))).transpose()
    }

    /// An id or name, read by its type's own parser.
    pub(in crate::storage) fn id<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Result<T, StoreError> {
        parse(&self.text(column)?).map_err(|_| self.malformed(column))
    }

    /// An id where `''` means none.
    pub(in crate::storage) fn optional_id<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text(column)?;
        if text.is_empty() { Ok(None) } else { parse(&text).map(Some).map_err(|_| self.malformed(column)) }
    }

    /// One word of a closed list.
    pub(in crate::storage) fn word<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(&self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    /// Scopes in canonical form.
    pub(in crate::storage) fn scopes(&self, column: &'static str) -> Result<ScopeSet, StoreError> {
        canonical_scopes(&self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    /// A person in `tenant`, `realm`, `subject`.
    pub(in crate::storage) fn subject(&self) -> Result<Subject, StoreError> {
        let id = self.text("subject")?;
        if id.is_empty() || id.len() > Subject::MAX_LENGTH {
            return Err(self.malformed("subject"));
        }
        let (tenant, realm) = (self.id("tenant", TenantId::parse)?, self.id("realm", RealmId::parse)?);
        Ok(Subject { tenant, realm, id })
    }

    /// A person or a tenant.
    pub(in crate::storage) fn owner(&self) -> Result<Owner, StoreError> {
        match self.text("owner_kind")?.as_str() {
            "subject" => self.subject().map(Owner::Subject),
            "tenant" if !self.text("realm")?.is_empty() => Err(self.malformed("realm")),
            "tenant" if !self.text("subject")?.is_empty() => Err(self.malformed("subject")),
            "tenant" => self.id("tenant", TenantId::parse).map(Owner::Tenant),
            _ => Err(self.malformed("owner_kind")),
        }
    }

    /// Joins the row with the MAC in its column `mac`.
    pub(in crate::storage) fn tagged<T: Authority>(&self, row: T) -> Result<Tagged<T>, StoreError> {
        Ok(Tagged::from_storage(row, RowMac::from_bytes(&self.blob("mac")?)))
    }
}

/// Reads one row among others. One that cannot be read is named, and does not stop the others.
pub(in crate::storage) fn each<R: Columns, T>(
    row: &R,
    read: fn(&R) -> Result<T, StoreError>,
) -> Result<Readable<T>, StoreError> {
    match read(row) {
        Ok(value) => Ok(Ok(value)),
        Err(StoreError::Malformed { table, column }) => {
            let cells = Cells::new(row, table);
            let id = cells.present("id", row.bytes_of_text("id"))?;
            let (version, mac) = (cells.number("version")?, cells.blob("mac")?);
            Ok(Err(QuarantinedRow { table, column, id, version, mac }))
        }
        Err(error) => Err(error),
    }
}

/// The same for a table without columns `id` and `version`, whose rows are named by the text in `key`.
pub(in crate::storage) fn each_by<R: Columns, T>(
    row: &R,
    key: &'static str,
    read: fn(&R) -> Result<T, StoreError>,
) -> Result<Readable<T>, StoreError> {
    match read(row) {
        Ok(value) => Ok(Ok(value)),
        Err(StoreError::Malformed { table, column }) => {
            let id = Cells::new(row, table).present(key, row.bytes_of_text(key))?;
            Ok(Err(QuarantinedRow { table, column, id, version: 0, mac: Vec::new() }))
        }
        Err(error) => Err(error),
    }
}

/// Reads a scope set as [`ScopeSet::canonical`] wrote it; another spelling is not one.
pub(in crate::storage) fn canonical_scopes(text: &str) -> Option<ScopeSet> {
    ScopeSet::from_stored(text).ok().filter(|set| set.canonical() == text)
}
