//! Rows that are there and say nothing that could be relied on (VA9).

use super::{Authority, Consent, Quarantined, Tagged};

/// One such row, named as it was read. It is never served; all that can be done with it is to set it aside, and only while its id,
/// version and MAC are what was read: a row that the broker wrote meanwhile has another version and is left alone. An edit that
/// is undone in between leaves all three as they were, and the row is set aside all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuarantinedRow {
    /// The table.
    pub table: &'static str,
    /// The column that holds what no such column may hold; `mac` when every column can be read and the tag is wrong.
    pub column: &'static str,
    /// The column `id`, or what the table has in its place, whatever bytes it holds.
    pub id: Vec<u8>,
    /// The column `version`; 0 where there is none.
    pub version: i64,
    /// The column `mac`; empty where there is none.
    pub mac: Vec<u8>,
}

impl QuarantinedRow {
    /// A consent that can be read and may have failed its check.
    pub fn of_consent(tagged: &Tagged<Consent>) -> Self {
        let (row, mac) = tagged.stored_parts();
        Self {
            table: Consent::TABLE,
            column: "mac",
            id: row.id.as_str().as_bytes().to_vec(),
            version: row.version,
            mac: mac.to_bytes(),
        }
    }

    /// Its id, if that at least is one.
    pub fn id<T, E>(&self, parse: fn(&str) -> Result<T, E>) -> Option<T> {
        parse(std::str::from_utf8(&self.id).ok()?).ok()
    }
}

impl From<QuarantinedRow> for Quarantined {
    fn from(row: QuarantinedRow) -> Self {
        Self { table: row.table }
    }
}
