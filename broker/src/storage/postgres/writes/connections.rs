//! Writes of connections' covered columns.

use super::Bound;
use crate::domain::{Connection, QuarantinedRow, Tagged, Timestamp};

const INSERT: &str = "\
INSERT INTO connections
    (client_id, account_id, account_label, state, scopes, version, born_epoch, created_at, expires_at, mac,
     id, tenant, owner_kind, realm, subject, provider)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT DO NOTHING";

// Owner and provider are in the condition and not in the assignment: no write moves a connection to somebody else.
const UPDATE: &str = "\
UPDATE connections SET
    client_id = $1, account_id = $2, account_label = $3, state = $4, scopes = $5, version = $6,
    born_epoch = $7, created_at = $8, expires_at = $9, mac = $10
WHERE id = $11 AND tenant = $12 AND owner_kind = $13 AND realm = $14 AND subject = $15 AND provider = $16
  AND version = $17";

const SET_ASIDE: &str = "\
UPDATE connections SET owner_kind = 'set_aside', state = 'revoked'
WHERE id = $1 AND version = $2 AND mac = $3";

/// Applies unless the id exists or the owner has the account already, in a connection that is not revoked.
pub(super) fn insert(row: &Tagged<Connection>) -> Bound {
    bind(INSERT, row)
}

/// Applies if the connection still has `expected_version` and is the same owner's at the same provider. An account that the
/// owner has under another connection is a refusal ([`super::may_collide`]).
pub(super) fn update(row: &Tagged<Connection>, expected_version: i64) -> Bound {
    bind(UPDATE, row).bind(expected_version)
}

/// Applies while it is still what was read. An owner kind that nobody has makes it nobody's for good.
pub(super) fn set_aside(row: &QuarantinedRow) -> Bound {
    // PostgreSQL holds no text that is not UTF-8: nothing else was read from it.
    let id = String::from_utf8_lossy(&row.id).into_owned();
    sqlx::query(SET_ASIDE).bind(id).bind(row.version).bind(row.mac.clone())
}

fn bind(sql: &'static str, row: &Tagged<Connection>) -> Bound {
    let (connection, mac) = row.stored_parts();
    sqlx::query(sql)
        .bind(connection.client_id.as_str())
        .bind(connection.account.id.as_str())
        .bind(connection.account.label.as_str())
        .bind(connection.state.as_str())
        .bind(connection.scopes.canonical())
        .bind(connection.version)
        .bind(connection.born_epoch)
        .bind(connection.created_at.micros())
        .bind(connection.expires_at.map(Timestamp::micros))
        .bind(mac.to_bytes())
        .bind(connection.id.as_str())
        .bind(connection.owner.tenant().as_str())
        .bind(connection.owner.kind())
        .bind(connection.owner.realm())
        .bind(connection.owner.subject_id())
        .bind(connection.provider.as_str())
}
