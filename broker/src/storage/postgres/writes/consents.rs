//! Writes of consents.

use super::{super::error::unavailable, Bound};
use crate::{
    domain::{
        ConnectionId, Consent, ConsentId, ConsentState, Group, QuarantinedRow, Reason, Sealed, Tagged,
        Timestamp, Write,
        consent::{Leftover, Obtained},
    },
    storage::StoreError,
};
use ring::digest;
use sqlx::PgConnection;
use std::collections::BTreeSet;

const INSERT: &str = "\
INSERT INTO consents
    (connection, reason, provider_scopes, tool, purpose, created_at, expires_at, version, born_epoch, mismatches,
     state, state_hash, browser_hash, pkce_verifier, obtained_account_id, obtained_account_label,
     obtained_scopes, obtained_refresh, obtained_access, obtained_access_expires_at, result_connection,
     failure, mac, id, tenant, realm, subject, workload, provider, scopes, handle_hash)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26, $27, $28, $29, $30, $31
WHERE NOT EXISTS (
    SELECT 1 FROM consents
    WHERE tenant = $25 AND realm = $26 AND subject = $27 AND workload = $28 AND provider = $29 AND scopes = $30
      AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > (SELECT broker_clock()))
ON CONFLICT DO NOTHING";

// Whom, who, where and for what are in the condition and not in the assignment: they never change.
const UPDATE: &str = "\
UPDATE consents SET
    connection = $1, reason = $2, provider_scopes = $3, tool = $4, purpose = $5, created_at = $6, expires_at = $7,
    version = $8, born_epoch = $9, mismatches = $10, state = $11, state_hash = $12, browser_hash = $13,
    pkce_verifier = $14, obtained_account_id = $15, obtained_account_label = $16, obtained_scopes = $17,
    obtained_refresh = $18, obtained_access = $19, obtained_access_expires_at = $20, result_connection = $21,
    failure = $22, mac = $23
WHERE id = $24 AND tenant = $25 AND realm = $26 AND subject = $27 AND workload = $28 AND provider = $29
  AND scopes = $30 AND version = $31";

const SET_ASIDE: &str = "\
UPDATE consents SET state = 'set_aside', pkce_verifier = NULL, obtained_refresh = NULL, obtained_access = NULL
WHERE id = $1 AND version = $2 AND mac = $3";

/// In ascending order, so that no two batches wait for each other.
const LOCK_NEEDS: &str = "\
SELECT pg_advisory_xact_lock(need) FROM (SELECT need FROM unnest($1::BIGINT[]) AS need ORDER BY need) AS needs";

/// Makes replicas that open a consent for the same need take turns until the transaction ends. A statement of its own, before the
/// INSERT: that one must see what the other replica committed. Batches without a new consent pay nothing.
pub(in crate::storage::postgres) async fn lock_needs(
    connection: &mut PgConnection,
    batch: &[Group],
) -> Result<(), StoreError> {
    let writes = batch.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.effect);
    let needs: BTreeSet<i64> = writes
        .filter_map(|write| match write {
            Write::InsertConsent { row, .. } => Some(need(row.stored_parts().0)),
            _ => None,
        })
        .collect();
    if needs.is_empty() {
        return Ok(());
    }
    let needs: Vec<i64> = needs.into_iter().collect();
    sqlx::query(LOCK_NEEDS).bind(needs).execute(connection).await.map_err(unavailable)?;
    Ok(())
}

/// The number of a need's lock. Two needs that share one only wait for each other. Locks of the broker's own numbers have two parts,
/// which PostgreSQL keeps apart from these.
fn need(consent: &Consent) -> i64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [
        consent.subject.tenant.as_str(),
        consent.subject.realm.as_str(),
        consent.subject.id.as_str(),
        consent.workload.as_str(),
        consent.provider.as_str(),
        &consent.scopes.canonical(),
    ] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    let hash = hash.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    i64::from_be_bytes(first)
}

/// Applies unless the id or handle exists, or an equal need is open (CO1). Two replicas could each miss the other's row: the
/// caller holds the need's lock ([`lock_needs`]).
pub(super) fn insert(row: &Tagged<Consent>, handle_hash: &[u8; 32]) -> Bound {
    bind(INSERT, row).bind(&handle_hash[..])
}

/// Applies if the consent still has `expected_version`. An OAuth state that another consent has is a refusal
/// ([`super::may_collide`]).
pub(super) fn update(row: &Tagged<Consent>, expected_version: i64) -> Bound {
    bind(UPDATE, row).bind(expected_version)
}

/// Applies while it is still what was read. A word that no consent has makes it unreadable for good; what was sealed in it could
/// never be opened again, and goes.
pub(super) fn set_aside(row: &QuarantinedRow) -> Bound {
    // PostgreSQL holds no text that is not UTF-8: nothing else was read from it.
    let id = String::from_utf8_lossy(&row.id).into_owned();
    sqlx::query(SET_ASIDE).bind(id).bind(row.version).bind(row.mac.clone())
}

/// The row's tag, which is wrong already, is left as it is.
pub(super) fn delete_leftovers(consent: &ConsentId) -> Bound {
    sqlx::query("UPDATE consents SET obtained_refresh = NULL, obtained_access = NULL WHERE id = $1")
        .bind(consent.as_str().to_owned())
}

fn bind(sql: &'static str, row: &Tagged<Consent>) -> Bound {
    let (consent, mac) = row.stored_parts();
    let query = sqlx::query(sql)
        .bind(consent.connection.as_ref().map_or("", ConnectionId::as_str))
        .bind(consent.reason.as_str())
        .bind(consent.provider_scopes.canonical())
        .bind(consent.tool.as_str())
        .bind(consent.purpose.as_str())
        .bind(consent.created_at.micros())
        .bind(consent.expires_at.micros())
        .bind(consent.version)
        .bind(consent.born_epoch)
        .bind(consent.mismatches);
    bind_state(query, &consent.state, &consent.leftover)
        .bind(mac.to_bytes())
        .bind(consent.id.as_str())
        .bind(consent.subject.tenant.as_str())
        .bind(consent.subject.realm.as_str())
        .bind(consent.subject.id.as_str())
        .bind(consent.workload.as_str())
        .bind(consent.provider.as_str())
        .bind(consent.scopes.canonical())
}

/// The columns from `state` to `failure`. What a state does not have is NULL or ''.
fn bind_state(query: Bound, state: &ConsentState, leftover: &Leftover) -> Bound {
    let [refresh, access] = leftover.envelopes();
    let query = query
        .bind(state.as_str())
        .bind(state.state_hash().map(|hash| &hash[..]))
        .bind(state.browser_hash().map(|hash| &hash[..]))
        .bind(match state {
            ConsentState::Approved { verifier, .. } => Some(verifier.envelope()),
            _ => None,
        });
    let obtained: Option<&Obtained> = match state {
        ConsentState::AwaitingConfirmation { obtained, .. } => Some(obtained),
        _ => None,
    };
    query
        .bind(obtained.map(|o| o.account.id.as_str()))
        .bind(obtained.map(|o| o.account.label.as_str()))
        .bind(obtained.map(|o| o.scopes.canonical()))
        .bind(obtained.and_then(|o| o.refresh.as_ref()).map(Sealed::envelope).or(refresh).map(<[u8]>::to_vec))
        .bind(obtained.map(|o| o.access.envelope()).or(access).map(<[u8]>::to_vec))
        .bind(obtained.and_then(|o| o.access_expires_at).map(Timestamp::micros))
        .bind(match state {
            ConsentState::Completed { connection, .. } => connection.as_str(),
            _ => "",
        })
        .bind(match state {
            ConsentState::Failed { reason, .. } => Reason::as_str(*reason),
            _ => "",
        })
}
