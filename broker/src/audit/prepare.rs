//! What an entry needs before it is queued: everything that may wait for a key happens here, in the caller's time.

use super::body::SealedPersonal;
use crate::{
    domain::{Canonical, EventDraft, EventId, Group, Personal, Rng, TenantId},
    keys::{KeyError, KeyRing},
};

/// The person of one entry, made unreadable.
#[derive(Clone, Default, Debug)]
pub(super) struct Prepared {
    pub(super) subject: String,
    pub(super) personal: Option<SealedPersonal>,
}

/// Pseudonyms and sealed personal fields, one per entry.
pub(super) async fn prepare(keys: &KeyRing, rng: &dyn Rng, group: &Group) -> Result<Vec<Prepared>, KeyError> {
    let mut prepared = Vec::with_capacity(group.entries.len());
    for entry in &group.entries {
        prepared.push(prepare_one(keys, rng, &entry.draft).await?);
    }
    Ok(prepared)
}

async fn prepare_one(keys: &KeyRing, rng: &dyn Rng, draft: &EventDraft) -> Result<Prepared, KeyError> {
    let Some(subject) = &draft.subject else { return Ok(Prepared::default()) };
    let pseudonym = keys.pseudonym(subject).await?;
    if draft.personal == Personal::default() {
        return Ok(Prepared { subject: pseudonym, personal: None });
    }
    let key = keys.subject_key(subject).await?;
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&draft.personal).expect("four optional texts"));
    let sealed = key.seal(rng, &personal_aad(&subject.tenant, &pseudonym, &draft.id), &plain);
    Ok(Prepared { subject: pseudonym, personal: Some(SealedPersonal { key: key.id().to_owned(), sealed }) })
}

/// Binds sealed personal fields to their event.
pub(super) fn personal_aad(tenant: &TenantId, pseudonym: &str, event: &EventId) -> Canonical {
    let mut aad = Canonical::new("broker.v1 personal fields");
    aad.text(tenant.as_str()).text(pseudonym).text(event.as_str());
    aad
}
