//! Consents, read from rows. A state's own columns must be there, and no other state's.

use super::{Cells, Columns, canonical_scopes};
use crate::{
    domain::{
        Account, ConnectionId, Consent, ConsentId, ConsentReason, ConsentState, ProviderId, Reason, Sealed,
        Tagged, WorkloadId,
        consent::{Leftover, Obtained},
    },
    storage::StoreError,
};

pub(in crate::storage) fn consent<R: Columns>(row: &R) -> Result<Tagged<Consent>, StoreError> {
    let cells = Cells::new(row, "consents");
    cells.tagged(Consent {
        id: cells.id("id", ConsentId::parse)?,
        subject: cells.subject()?,
        workload: cells.id("workload", WorkloadId::parse)?,
        provider: cells.id("provider", ProviderId::parse)?,
        connection: cells.optional_id("connection", ConnectionId::parse)?,
        reason: cells.word("reason", ConsentReason::parse)?,
        scopes: cells.scopes("scopes")?,
        provider_scopes: cells.scopes("provider_scopes")?,
        tool: cells.text("tool")?,
        purpose: cells.text("purpose")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        version: cells.number("version")?,
        born_epoch: cells.number("born_epoch")?,
        mismatches: cells.number("mismatches")?,
        state: state(&cells)?,
        leftover: leftover(&cells)?,
    })
}

/// The columns that some states have and others have not.
struct StateCells {
    state_hash: Option<[u8; 32]>,
    browser_hash: Option<[u8; 32]>,
    verifier: Option<Vec<u8>>,
    obtained: Option<Obtained>,
    connection: Option<ConnectionId>,
    failure: Option<Reason>,
}

fn state(cells: &Cells<'_, impl Columns>) -> Result<ConsentState, StoreError> {
    let found = StateCells {
        state_hash: cells.optional_hash("state_hash")?,
        browser_hash: cells.optional_hash("browser_hash")?,
        verifier: cells.optional_blob("pkce_verifier")?,
        obtained: obtained(cells)?,
        connection: cells.optional_id("result_connection", ConnectionId::parse)?,
        failure: failure(cells)?,
    };
    build(&cells.text("state")?, found).ok_or_else(|| cells.malformed("state"))
}

/// `None` when the columns are not those of the named state.
fn build(name: &str, found: StateCells) -> Option<ConsentState> {
    let StateCells { state_hash, browser_hash, verifier, obtained, connection, failure } = found;
    Some(match (name, state_hash, browser_hash, verifier, obtained, connection, failure) {
        ("pending", None, None, None, None, None, None) => ConsentState::Pending,
        ("declined", state_hash, None, None, None, None, None) => ConsentState::Declined { state_hash },
        ("expired", state_hash, None, None, None, None, None) => ConsentState::Expired { state_hash },
        ("approved", Some(state_hash), Some(browser_hash), Some(verifier), None, None, None) => {
            ConsentState::Approved { state_hash, browser_hash, verifier: Sealed::from_envelope(verifier) }
        }
        ("exchanging", Some(state_hash), Some(browser_hash), None, None, None, None) => {
            ConsentState::Exchanging { state_hash, browser_hash }
        }
        ("awaiting_confirmation", Some(state_hash), Some(browser_hash), None, Some(obtained), None, None) => {
            ConsentState::AwaitingConfirmation { state_hash, browser_hash, obtained: Box::new(obtained) }
        }
        ("completed", state_hash, None, None, None, Some(connection), None) => {
            ConsentState::Completed { connection, state_hash }
        }
        ("failed", state_hash, None, None, None, None, Some(reason)) => {
            ConsentState::Failed { reason, state_hash }
        }
        _ => return None,
    })
}

fn failure(cells: &Cells<'_, impl Columns>) -> Result<Option<Reason>, StoreError> {
    let text = cells.text("failure")?;
    match text.as_str() {
        "" => Ok(None),
        code => Reason::parse(code).map(Some).ok_or_else(|| cells.malformed("failure")),
    }
}

/// Whether a state may leave tokens to be revoked: their columns are then those of what was obtained.
fn leaves(cells: &Cells<'_, impl Columns>) -> Result<bool, StoreError> {
    Ok(matches!(cells.text("state")?.as_str(), "completed" | "declined" | "expired" | "failed"))
}

fn leftover(cells: &Cells<'_, impl Columns>) -> Result<Leftover, StoreError> {
    if !leaves(cells)? {
        return Ok(Leftover::default());
    }
    let refresh = cells.optional_blob("obtained_refresh")?.map(Sealed::from_envelope);
    let access = cells.optional_blob("obtained_access")?.map(Sealed::from_envelope);
    Ok(Leftover { refresh, access })
}

/// What waits for confirmation: all of its columns, or none.
fn obtained(cells: &Cells<'_, impl Columns>) -> Result<Option<Obtained>, StoreError> {
    let account_id = cells.optional_text("obtained_account_id")?;
    let account_label = cells.optional_text("obtained_account_label")?;
    let scopes = cells.optional_text("obtained_scopes")?;
    let sealed = |column| if leaves(cells)? { Ok(None) } else { cells.optional_blob(column) };
    let refresh = sealed("obtained_refresh")?.map(Sealed::from_envelope);
    let access = sealed("obtained_access")?.map(Sealed::from_envelope);
    let access_expires_at = cells.optional_time("obtained_access_expires_at")?;
    match (account_id, account_label, scopes, access) {
        (Some(id), Some(label), Some(scopes), Some(access)) => {
            let scopes = canonical_scopes(&scopes).ok_or_else(|| cells.malformed("obtained_scopes"))?;
            let account = Account { id, label };
            Ok(Some(Obtained { account, scopes, refresh, access, access_expires_at }))
        }
        (None, None, None, None) if refresh.is_none() && access_expires_at.is_none() => Ok(None),
        _ => Err(cells.malformed("obtained_access")),
    }
}
