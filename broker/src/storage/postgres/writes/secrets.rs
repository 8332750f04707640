//! Writes of sealed tokens.

use super::Bound;
use crate::domain::{ConnectionId, SecretRow, Tagged, Timestamp};

const PUT: &str = "\
INSERT INTO connection_secrets
    (connection, kind, scope_key, scopes, generation, envelope, expires_at, obtained_at, mac)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE EXISTS (SELECT 1 FROM connections WHERE id = $1)
ON CONFLICT (connection, kind, text_sha256(scope_key)) DO UPDATE SET
    scopes = excluded.scopes, generation = excluded.generation, envelope = excluded.envelope,
    expires_at = excluded.expires_at, obtained_at = excluded.obtained_at, mac = excluded.mac
WHERE connection_secrets.generation < excluded.generation";

/// Applies unless the one there has the same or a greater generation, or the connection is not there.
pub(super) fn put(row: &Tagged<SecretRow>) -> Bound {
    let (secret, mac) = row.stored_parts();
    sqlx::query(PUT)
        .bind(secret.connection.as_str())
        .bind(secret.kind.as_str())
        .bind(secret.scope_key())
        .bind(secret.scopes.canonical())
        .bind(secret.generation)
        .bind(&secret.envelope[..])
        .bind(secret.expires_at.map(Timestamp::micros))
        .bind(secret.obtained_at.micros())
        .bind(mac.to_bytes())
}

/// Removes every token of a connection.
pub(super) fn delete(connection: &ConnectionId) -> Bound {
    sqlx::query("DELETE FROM connection_secrets WHERE connection = $1").bind(connection.as_str())
}

/// Removes the access tokens of a connection.
pub(super) fn delete_access(connection: &ConnectionId) -> Bound {
    sqlx::query("DELETE FROM connection_secrets WHERE connection = $1 AND kind = 'access'")
        .bind(connection.as_str())
}
