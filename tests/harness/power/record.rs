//! One thing that was done to a file, as the recorder wrote it down.

use std::path::Path;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file came to be.
    Create,
    /// Bytes were written.
    Write,
    /// A file was cut or grown to a length.
    Truncate,
    /// All that was written to a file is on the disk.
    Sync,
    /// A file has another name.
    Rename,
    /// A name is gone.
    Unlink,
    /// All names in a directory are on the disk.
    SyncDirectory,
}

/// One thing that was done. Names are relative to the directory that is watched; its own is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    /// When it began, in microseconds since 1970.
    pub began: i64,
    pub name: String,
    /// The new name.
    pub other: String,
    /// Of a write; of a truncation, the length.
    pub offset: usize,
    pub data: Vec<u8>,
}

const HEAD: usize = 40;
/// A file that has no name any more cannot be found after a power cut.
const GONE: &str = " (deleted)";

/// Reads a recorder's file about what is below `root`. A last record that is not whole was being written when the process was killed.
///
/// # Panics
/// When something was done that the recorder does not record, or the bytes are no record.
pub fn read(mut bytes: &[u8], root: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let root = root.to_str().expect("a path in UTF-8");
    while let Some((record, rest)) = one(bytes, root) {
        bytes = rest;
        if !record.name.ends_with(GONE) {
            records.push(record);
        }
    }
    records
}

fn one<'a>(bytes: &'a [u8], root: &str) -> Option<(Record, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
    let short = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes")) as usize;
    let (path, rest) = rest.split_at_checked(short(28))?;
    let (other, rest) = rest.split_at_checked(short(32))?;
    let (data, rest) = rest.split_at_checked(short(36))?;
    let [path, other] = [path, other].map(|name| std::str::from_utf8(name).expect("a name in UTF-8"));
    let kind = match short(24) {
        1 => Kind::Create,
        2 => Kind::Write,
        3 => Kind::Truncate,
        4 => Kind::Sync,
        5 => Kind::Rename,
        6 => Kind::Unlink,
        7 => Kind::SyncDirectory,
        8 => panic!("{other} of {path}: the recorder does not know what this does to a disk"),
        kind => panic!("no record is of kind {kind}"),
    };
    let name = |path: &str| path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned();
    let record = Record {
        kind,
        began: i64::try_from(long(0)).expect("a time"),
        name: name(path),
        other: name(other),
        offset: usize::try_from(long(16)).expect("an offset"),
        data: data.to_vec(),
    };
    Some((record, rest))
}
