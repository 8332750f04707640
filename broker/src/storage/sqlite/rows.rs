//! Reads columns into domain values. What a column does not promise is [`StoreError::Malformed`]: never skipped, never a panic.

use crate::domain::{
    Authority, Owner, QuarantinedRow, RealmId, RowMac, ScopeSet, Subject, Tagged, TenantId, Timestamp,
    ids::BadId,
};
use crate::storage::{Readable, StoreError};
use sqlx::{Row, sqlite::SqliteRow};

/// One row being read.
pub(super) struct Cells<'r> {
    row: &'r SqliteRow,
    table: &'static str,
}

impl<'r> Cells<'r> {
    pub(super) fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table }
    }

    pub(super) fn malformed(&self, column: &'static str) -> StoreError {
        StoreError::Malformed { table: self.table, column }
    }

    fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.malformed(column))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(super) fn number(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    pub(super) fn blob(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_blob(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(column)
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp::from_micros)
    }

    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    /// 0 or 1.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.number(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.malformed(column)),
        }
    }

    /// A SHA-256, 32 bytes.
    pub(super) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        self.blob(column)?.try_into().map_err(|_| self.malformed(column))
    }

    pub(super) fn optional_hash(&self, column: &'static str) -> Result<Option<[u8; 32]>, StoreError> {
        let bytes = self.optional_blob(column)?;
        bytes.map(|b| b.try_into().map_err(|_| self.malformed(column))).transpose()
    }

    /// An id or name, read by its type's own parser.
    pub(super) fn id<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Result<T, StoreError> {
        parse(&self.text(column)?).map_err(|_| self.malformed(column))
    }

    /// An id where `''` means none.
    pub(super) fn optional_id<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text(column)?;
        if text.is_empty() { Ok(None) } else { parse(&text).map(Some).map_err(|_| self.malformed(column)) }
    }

    /// One word of a closed list.
    pub(super) fn word<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(&self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    /// Scopes in canonical form.
    pub(super) fn scopes(&self, column: &'static str) -> Result<ScopeSet, StoreError> {
        canonical_scopes(&self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    /// A person in `tenant`, `realm`, `subject`.
    pub(super) fn subject(&self) -> Result<Subject, StoreError> {
        let id = self.text("subject")?;
        if id.is_empty() || id.len() > Subject::MAX_LENGTH {
            return Err(self.malformed("subject"));
        }
        let (tenant, realm) = (self.id("tenant", TenantId::parse)?, self.id("realm", RealmId::parse)?);
        Ok(Subject { tenant, realm, id })
    }

    /// A person or a tenant.
    pub(super) fn owner(&self) -> Result<Owner, StoreError> {
        match self.text("owner_kind")?.as_str() {
            "subject" => self.subject().map(Owner::Subject),
            "tenant" if !self.text("realm")?.is_empty() => Err(self.malformed("realm")),
            "tenant" if !self.text("subject")?.is_empty() => Err(self.malformed("subject")),
            "tenant" => self.id("tenant", TenantId::parse).map(Owner::Tenant),
            _ => Err(self.malformed("owner_kind")),
        }
    }

    /// Joins the row with the MAC in its column `mac`.
    pub(super) fn tagged<T: Authority>(&self, row: T) -> Result<Tagged<T>, StoreError> {
        Ok(Tagged::from_storage(row, RowMac::from_bytes(&self.blob("mac")?)))
    }
}

/// Reads one row among others. One that cannot be read is named, and does not stop the others.
pub(super) fn each<T>(
    row: &SqliteRow,
    read: fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Readable<T>, StoreError> {
    match read(row) {
        Ok(value) => Ok(Ok(value)),
        Err(StoreError::Malformed { table, column }) => {
            let cells = Cells::new(row, table);
            let (id, version, mac) = (cells.blob("id")?, cells.number("version")?, cells.blob("mac")?);
            Ok(Err(QuarantinedRow { table, column, id, version, mac }))
        }
        Err(error) => Err(error),
    }
}

/// Reads a scope set as [`ScopeSet::canonical`] wrote it; another spelling is not one.
pub(super) fn canonical_scopes(text: &str) -> Option<ScopeSet> {
    ScopeSet::from_stored(text).ok().filter(|set| set.canonical() == text)
}
