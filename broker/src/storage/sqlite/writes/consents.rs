//! Writes of consents.

use super::Bound;
use crate::domain::{
    ConnectionId, Consent, ConsentId, ConsentState, QuarantinedRow, Reason, Sealed, Tagged, Timestamp,
    consent::{Leftover, Obtained},
};

const INSERT: &str = "\
INSERT INTO consents
    (connection, reason, provider_scopes, tool, purpose, created_at, expires_at, version, born_epoch, mismatches,
     state, state_hash, browser_hash, pkce_verifier, obtained_account_id, obtained_account_label,
     obtained_scopes, obtained_refresh, obtained_access, obtained_access_expires_at, result_connection,
     failure, mac, id, tenant, realm, subject, workload, provider, scopes, handle_hash)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31
WHERE NOT EXISTS (
    SELECT 1 FROM consents
    WHERE tenant = ?25 AND realm = ?26 AND subject = ?27 AND workload = ?28 AND provider = ?29 AND scopes = ?30
      AND state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation') AND expires_at > ?32)
ON CONFLICT DO NOTHING";

// Whom, who, where and for what are in the condition and not in the assignment: they never change.
// OR IGNORE: an OAuth state that another consent has is a refusal, not a failure of the whole batch.
const UPDATE: &str = "\
UPDATE OR IGNORE consents SET
    connection = ?1, reason = ?2, provider_scopes = ?3, tool = ?4, purpose = ?5, created_at = ?6, expires_at = ?7,
    version = ?8, born_epoch = ?9, mismatches = ?10, state = ?11, state_hash = ?12, browser_hash = ?13,
    pkce_verifier = ?14, obtained_account_id = ?15, obtained_account_label = ?16, obtained_scopes = ?17,
    obtained_refresh = ?18, obtained_access = ?19, obtained_access_expires_at = ?20, result_connection = ?21,
    failure = ?22, mac = ?23
WHERE id = ?24 AND tenant = ?25 AND realm = ?26 AND subject = ?27 AND workload = ?28 AND provider = ?29
  AND scopes = ?30 AND version = ?31";

const SET_ASIDE: &str = "\
UPDATE consents SET state = 'set_aside', pkce_verifier = NULL, obtained_refresh = NULL, obtained_access = NULL
WHERE id = CAST(?1 AS TEXT) AND version = ?2 AND mac = ?3";

/// Applies unless the id or handle exists, or an equal need is open at `now` (CO1).
pub(super) fn insert(row: &Tagged<Consent>, handle_hash: &[u8; 32], now: Timestamp) -> Bound {
    bind(INSERT, row).bind(&handle_hash[..]).bind(now.micros())
}

/// Applies if the consent still has `expected_version`.
pub(super) fn update(row: &Tagged<Consent>, expected_version: i64) -> Bound {
    bind(UPDATE, row).bind(expected_version)
}

/// Applies while it is still what was read. A word that no consent has makes it unreadable for good; what was sealed in it could
/// never be opened again, and goes.
pub(super) fn set_aside(row: &QuarantinedRow) -> Bound {
    sqlx::query(SET_ASIDE).bind(row.id.clone()).bind(row.version).bind(row.mac.clone())
}

/// The row's tag, which is wrong already, is left as it is.
pub(super) fn delete_leftovers(consent: &ConsentId) -> Bound {
    sqlx::query("UPDATE consents SET obtained_refresh = NULL, obtained_access = NULL WHERE id = ?")
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
