//! Writes of web sessions.

use super::Bound;
use crate::domain::{LoggedOut, LogoutNames, Tagged, Timestamp, WebSession};

const INSERT: &str = "\
INSERT INTO web_sessions
    (label, issuer, sid, created_at, expires_at, version, ended, last_seen_at, mac, id_hash, tenant, realm, subject)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
WHERE NOT EXISTS (
    SELECT 1 FROM logouts WHERE tenant = $11 AND realm = $12 AND issuer = $2 AND until >= $14
        AND (sid = '' OR sid = $3) AND (subject = '' OR subject = $13)
)
ON CONFLICT DO NOTHING";

const LOG_OUT: &str = "\
INSERT INTO logouts (tenant, realm, issuer, sid, subject, until, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, realm, issuer, sid, subject) DO UPDATE SET
    until = greatest(logouts.until, excluded.until),
    expires_at = greatest(logouts.expires_at, excluded.expires_at)";

// The person is in the condition and not in the assignment: no write hands a session to somebody else.
const UPDATE: &str = "\
UPDATE web_sessions SET
    label = $1, issuer = $2, sid = $3, created_at = $4, expires_at = $5, version = $6, ended = $7,
    last_seen_at = greatest(last_seen_at, $8), mac = $9
WHERE id_hash = $10 AND tenant = $11 AND realm = $12 AND subject = $13 AND version = $14";

/// Applies unless the session exists or a logout means it.
pub(super) fn insert(row: &Tagged<WebSession>, begun_at: Timestamp) -> Bound {
    bind(INSERT, row).bind(begun_at.micros())
}

/// Of the same names, the later one counts.
pub(super) fn log_out(names: &LogoutNames, until: Timestamp, expires_at: Timestamp) -> Bound {
    let (sid, subject) = match &names.who {
        LoggedOut::Session { sid, subject } => (sid.clone(), subject.clone().unwrap_or_default()),
        LoggedOut::Person { subject } => (String::new(), subject.clone()),
    };
    sqlx::query(LOG_OUT)
        .bind(names.tenant.as_str().to_owned())
        .bind(names.realm.as_str().to_owned())
        .bind(names.issuer.clone())
        .bind(sid)
        .bind(subject)
        .bind(until.micros())
        .bind(expires_at.micros())
}

/// Applies if the session still has `expected_version` and is the same person's.
pub(super) fn update(row: &Tagged<WebSession>, expected_version: i64) -> Bound {
    bind(UPDATE, row).bind(expected_version)
}

fn bind(sql: &'static str, row: &Tagged<WebSession>) -> Bound {
    let (session, mac) = row.stored_parts();
    sqlx::query(sql)
        .bind(session.label.as_str())
        .bind(session.issuer.as_str())
        .bind(session.sid.as_str())
        .bind(session.created_at.micros())
        .bind(session.expires_at.micros())
        .bind(session.version)
        .bind(i64::from(session.ended))
        .bind(session.last_seen_at.micros())
        .bind(mac.to_bytes())
        .bind(&session.id_hash[..])
        .bind(session.subject.tenant.as_str())
        .bind(session.subject.realm.as_str())
        .bind(session.subject.id.as_str())
}
