//! A tenant gets a further key; and what rotation did is told to the log (AU2).

use crate::{
    audit::{Audit, Deadline, Refused},
    domain::{Entry, EventDraft, EventId, EventKind, Outcome, Rng, TenantId, WrappedKey, Write},
    keys::{KeyError, KeyRing},
    storage::Uses,
};

/// Why a tenant did not get a further key.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The tenant's keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It could not be recorded, so there is no such key.
    #[error(transparent)]
    Log(#[from] Refused),
}

/// A key that wraps from now on.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The tenant.
    pub tenant: TenantId,
    /// The key, as stored.
    pub key: WrappedKey,
    /// The one that wrapped until now.
    pub previous: String,
}

/// Makes a further key for a tenant, as the effect of the row that records it. Two at once make two keys; the later one wraps.
///
/// # Errors
/// [`RotateError`]: there is no new key.
pub async fn rotate_tenant_key(
    keys: &KeyRing,
    audit: &Audit,
    rng: &dyn Rng,
    tenant: &TenantId,
) -> Result<Rotated, RotateError> {
    let (key, previous) = keys.further_tenant_key(tenant).await?;
    let mut draft = by_operator(rng, EventKind::KeyCreated, tenant);
    draft.detail.insert("key", key.id.clone().into());
    draft.detail.insert("wrapped_by", key.wrapped_by.clone().into());
    draft.detail.insert("previous", previous.clone().into());
    let effect = vec![Write::InsertTenantKey(key.clone())];
    audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(Rotated { tenant: tenant.clone(), key, previous })
}

/// Records what was wrapped by a tenant's newest key: `rows` sealed values and `keys` of the tenant's own by the root key.
///
/// # Errors
/// [`Refused`]: what was done is done all the same.
pub async fn record_rewrap(
    audit: &Audit,
    rng: &dyn Rng,
    tenant: &TenantId,
    newest: &str,
    rows: Uses,
    keys: u64,
) -> Result<(), Refused> {
    let mut draft = by_operator(rng, EventKind::KeyRewrapped, tenant);
    draft.detail.insert("key", newest.into());
    draft.detail.insert("tokens", rows.tokens.into());
    draft.detail.insert("consents", rows.consents.into());
    draft.detail.insert("subject_keys", rows.subject_keys.into());
    draft.detail.insert("tenant_keys", keys.into());
    audit.note(Entry::note(draft), Deadline::none()).await.map(drop)
}

/// Whoever holds the root key file ordered it, at the command line.
fn by_operator(rng: &dyn Rng, kind: EventKind, tenant: &TenantId) -> EventDraft {
    let mut draft = EventDraft::new(EventId::random(rng), kind, Outcome::Allowed);
    draft.tenant = Some(tenant.clone());
    draft.detail.insert("by", "operator".into());
    draft
}
