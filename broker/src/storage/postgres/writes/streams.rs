//! The end of a stream.

use super::Bound;
use crate::domain::ledger::Head;

const END: &str = "\
UPDATE audit_streams SET open = 0, mac = $1 WHERE stream = $2 AND seq = $3 AND hash = $4 AND open = 1";

/// Applies if the stream is open and its head is still `head`.
pub(in crate::storage::postgres) fn end(head: &Head, mac: &[u8]) -> Bound {
    sqlx::query(END)
        .bind(mac.to_vec())
        .bind(head.stream.as_str().to_owned())
        .bind(head.seq)
        .bind(head.hash.to_vec())
}
