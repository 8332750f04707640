//! The claims of a batch, taken in one statement before anything else: those of groups that do nothing but issue.
//!
//! In the order of their keys, and all at once: whoever sends the same request ids to two replicas in opposite order makes no two
//! commits wait for each other, and a group of many costs no more messages than one of one.

use super::{error::unavailable, requests};
use crate::{
    domain::{Applied, Group, RequestClaim, Write},
    storage::{StoreError, rule_window::RuleWindow},
};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// What became of such groups, by their place in the batch.
pub(super) type Settled = BTreeMap<usize, Vec<Applied>>;

/// Given back: what a group took that did not get all it wants.
const RELEASE: &str = "DELETE FROM requests WHERE key = ANY ($1)";

/// Takes them. A group gets all of its claims or none; where two groups of the batch want the same, the first one counts.
pub(super) async fn take(
    connection: &mut PgConnection,
    batch: &[Group],
    window: &RuleWindow,
) -> Result<Settled, StoreError> {
    let issuing = issuing(batch, window);
    let mut first: BTreeMap<&[u8; 32], (usize, &RequestClaim)> = BTreeMap::new();
    for (place, claim) in issuing.iter().flat_map(|(place, group)| claims(group).map(|(_, c)| (*place, c))) {
        first.entry(&claim.key).or_insert((place, claim));
    }
    if first.is_empty() {
        return Ok(Settled::new());
    }
    let wanted: Vec<&RequestClaim> = first.values().map(|(_, claim)| *claim).collect();
    let taken = requests::take_all(&mut *connection, &wanted).await?;
    let (mut settled, mut given_back) = (Settled::new(), BTreeSet::new());
    for (place, group) in issuing {
        let is_ours = |claim: &RequestClaim| first.get(&claim.key).is_some_and(|(owner, _)| *owner == place);
        let Some((entry, claim)) = claims(group).find(|(_, c)| !is_ours(c) || !taken.contains(&c.key)) else {
            settled.insert(place, vec![Applied::Yes; group.entries.len()]);
            continue;
        };
        let holder = match first.get(&claim.key) {
            // Of this batch. Should it not get all of its own, whoever asks again finds the key free.
            Some((owner, theirs)) if *owner != place => RequestClaim::clone(theirs),
            _ => requests::holder(&mut *connection, claim).await?,
        };
        given_back.extend(claims(group).map(|(_, c)| c).filter(|c| is_ours(c)).map(|c| c.key));
        let mut applied = vec![Applied::GroupFailed; group.entries.len()];
        applied[entry] = Applied::Duplicate(Box::new(holder));
        settled.insert(place, applied);
    }
    given_back.retain(|key| taken.contains(key));
    if !given_back.is_empty() {
        let keys: Vec<&[u8]> = given_back.iter().map(|key| &key[..]).collect();
        sqlx::query(RELEASE).bind(keys).execute(connection).await.map_err(unavailable)?;
    }
    Ok(settled)
}

/// The groups whose outcome hangs on claims only, in order. None where the batch adds rules: those may hit what comes after them.
fn issuing<'b>(batch: &'b [Group], window: &RuleWindow) -> Vec<(usize, &'b Group)> {
    let mut effects = batch.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.effect);
    if effects.any(|write| matches!(write, Write::AddRule { .. })) {
        return Vec::new();
    }
    let only_issues = |group: &Group| {
        let mut keys = BTreeSet::new();
        claims(group).count() > 0
            && claims(group).all(|(_, claim)| keys.insert(claim.key))
            && group.entries.iter().all(|entry| entry.effect.is_empty() && window.hit(entry).is_none())
    };
    batch.iter().enumerate().filter(|(_, group)| only_issues(group)).collect()
}

/// A group's claims, each with its entry's place.
fn claims(group: &Group) -> impl Iterator<Item = (usize, &RequestClaim)> {
    group.entries.iter().enumerate().filter_map(|(entry, e)| Some((entry, e.claim.as_ref()?)))
}
