//! What an entry says and what its permit says are one thing.

use super::Refused;
use crate::{
    domain::{Entry, EventDraft, EventKind, Outcome, Owner},
    policy::{Permit, Purpose},
};

/// Events that say a stored secret was opened; without a permit nobody may claim so.
pub(super) fn needs_permit(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::GrantIssue
            | EventKind::GrantRedelivered
            | EventKind::RefreshIntent
            | EventKind::ConsentExchange
            | EventKind::ProviderRevokeIntent
    )
}

/// What the event says comes from the permit, whatever the draft said.
pub(super) fn describe<P: Purpose>(permit: &Permit<P>, draft: &mut EventDraft) {
    let facts = permit.facts();
    // Answering the same request again is an issuance too, under a kind of its own (GR5).
    if !(P::EVENT == EventKind::GrantIssue && draft.kind == EventKind::GrantRedelivered) {
        draft.kind = P::EVENT;
    }
    draft.outcome = Outcome::Allowed;
    draft.reason = None;
    draft.tenant = Some(permit.key().tenant().clone());
    draft.provider = Some(permit.key().provider.clone());
    draft.scopes_granted = facts.scopes.clone();
    draft.expires_at = facts.expires_at;
    draft.policy = facts.policy.clone();
}

/// An entry must speak of what its permit names: else rules about it would be matched against the wrong names.
pub(super) fn agree<P: Purpose>(permit: &Permit<P>, entry: &Entry) -> Result<(), Refused> {
    let (key, draft, names) = (permit.key(), &entry.draft, &entry.names);
    let other =
        |named: bool| if named { Ok(()) } else { Err(Refused::Inconsistent("not what the permit names")) };
    other(draft.tenant.as_ref().is_none_or(|t| t == key.tenant()))?;
    other(draft.provider.as_ref().is_none_or(|p| *p == key.provider))?;
    if let Owner::Subject(owner) = &key.owner {
        other(draft.subject.as_ref().is_none_or(|s| s == owner))?;
        other(names.subject.as_ref().is_none_or(|s| s == owner))?;
    }
    // A revocation at the provider happens because of a rule: it relies on nothing that a rule could hit.
    let required = P::EVENT != EventKind::ProviderRevokeIntent;
    other(names.tenant.as_ref().map_or(!required, |t| t == key.tenant()))?;
    other(names.provider.as_ref().map_or(!required, |p| *p == key.provider))
}
