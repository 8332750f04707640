//! What the groups of a batch that do nothing but issue need, taken before anything else: their request ids in one statement, the one-time
//! assertions that they use up in a second one.
//!
//! In the order of their keys, and all at once: whoever sends the same request ids or assertions to two replicas in opposite order makes
//! no two commits wait for each other, and a group of many costs no more messages than one of one. A batch without either pays nothing.

use super::{error::unavailable, requests, writes::assertions};
use crate::{
    domain::{Applied, AssertionUse, Group, RequestClaim, Write},
    storage::{StoreError, rule_window::RuleWindow},
};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// What became of such groups, by their place in the batch.
pub(super) type Settled = BTreeMap<usize, Vec<Applied>>;
/// Such groups, each with its place in the batch.
type Issuing<'b> = [(usize, &'b Group)];
type Keys = BTreeSet<[u8; 32]>;

/// Given back: what a group took that did not get all it wants.
const RELEASE: &str = "DELETE FROM requests WHERE key = ANY ($1)";

/// Takes them. A group gets all it wants or nothing; where two groups of the batch want the same, the first one counts. Request ids come
/// first: whoever sends a request twice at once is told so, and not that its assertion was used.
pub(super) async fn take(
    connection: &mut PgConnection,
    batch: &[Group],
    window: &RuleWindow,
) -> Result<Settled, StoreError> {
    let issuing = issuing(batch, window);
    let mut settled = Settled::new();
    let mut given_back = take_claims(connection, &issuing, &mut settled).await?;
    given_back.extend(use_assertions(connection, &issuing, &mut settled).await?);
    let passed_on = passed_on(&settled, &given_back);
    settled.retain(|place, _| !passed_on.contains(place));
    if !given_back.is_empty() {
        let keys: Vec<&[u8]> = given_back.iter().map(|key| &key[..]).collect();
        sqlx::query(RELEASE).bind(keys).execute(connection).await.map_err(unavailable)?;
    }
    for (place, group) in issuing.into_iter().filter(|(place, _)| !passed_on.contains(place)) {
        settled.entry(place).or_insert_with(|| vec![Applied::Yes; group.entries.len()]);
    }
    Ok(settled)
}

/// The groups that were told of a request id which its taker had to give back: they repeat nothing, and are applied after this, one after
/// the other.
fn passed_on(settled: &Settled, given_back: &Keys) -> BTreeSet<usize> {
    let is_told =
        |one: &Applied| matches!(one, Applied::Duplicate(holder) if given_back.contains(&holder.key));
    let told = settled.iter().filter(|(_, applied)| applied.iter().any(is_told));
    told.map(|(place, _)| *place).collect()
}

/// Settles the groups that do not get their request ids; returns what they took in vain.
async fn take_claims(
    connection: &mut PgConnection,
    issuing: &Issuing<'_>,
    settled: &mut Settled,
) -> Result<Keys, StoreError> {
    let mut first: BTreeMap<&[u8; 32], (usize, &RequestClaim)> = BTreeMap::new();
    for (place, claim) in issuing.iter().flat_map(|(place, group)| claims(group).map(|(_, c)| (*place, c))) {
        first.entry(&claim.key).or_insert((place, claim));
    }
    if first.is_empty() {
        return Ok(Keys::new());
    }
    let wanted: Vec<&RequestClaim> = first.values().map(|(_, claim)| *claim).collect();
    let taken = requests::take_all(&mut *connection, &wanted).await?;
    let mut given_back = Keys::new();
    for &(place, group) in issuing {
        let is_ours = |claim: &RequestClaim| first.get(&claim.key).is_some_and(|(owner, _)| *owner == place);
        let Some((entry, claim)) = claims(group).find(|(_, c)| !is_ours(c) || !taken.contains(&c.key)) else {
            continue;
        };
        let holder = match first.get(&claim.key) {
            // Of this batch. Should it not get all of its own, this group is passed on.
            Some((owner, theirs)) if *owner != place => RequestClaim::clone(theirs),
            _ => requests::holder(&mut *connection, claim).await?,
        };
        given_back.extend(claims(group).map(|(_, c)| c).filter(|c| is_ours(c)).map(|c| c.key));
        settled.insert(place, failed(group, entry, Applied::Duplicate(Box::new(holder))));
    }
    given_back.retain(|key| taken.contains(key));
    Ok(given_back)
}

/// Settles the groups whose assertion was used before; returns the request ids that they took in vain.
async fn use_assertions(
    connection: &mut PgConnection,
    issuing: &Issuing<'_>,
    settled: &mut Settled,
) -> Result<Keys, StoreError> {
    let using = issuing.iter().filter(|(place, _)| !settled.contains_key(place));
    let using: Vec<_> =
        using.filter_map(|(place, group)| Some((*place, *group, uses(group).next()?))).collect();
    let mut first: BTreeMap<&[u8; 32], (usize, &AssertionUse)> = BTreeMap::new();
    for (place, _, (_, used)) in &using {
        first.entry(&used.key).or_insert((*place, used));
    }
    if first.is_empty() {
        return Ok(Keys::new());
    }
    let wanted: Vec<&AssertionUse> = first.values().map(|(_, used)| *used).collect();
    let fresh = assertions::use_all(connection, &wanted).await?;
    let mut given_back = Keys::new();
    for (place, group, (entry, used)) in using {
        let is_ours = first.get(&used.key).is_some_and(|(owner, _)| *owner == place);
        if !is_ours || !fresh.contains(&used.key) {
            given_back.extend(claims(group).map(|(_, claim)| claim.key));
            settled.insert(place, failed(group, entry, Applied::NotApplied(0)));
        }
    }
    Ok(given_back)
}

/// The groups whose outcome hangs on claims and one assertion at most, in order. None where the batch adds rules: those may hit what comes
/// after them.
fn issuing<'b>(batch: &'b [Group], window: &RuleWindow) -> Vec<(usize, &'b Group)> {
    let mut effects = batch.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.effect);
    if effects.any(|write| matches!(write, Write::AddRule { .. })) {
        return Vec::new();
    }
    let only_issues = |group: &Group| {
        let mut keys = BTreeSet::new();
        let effects = group.entries.iter().map(|entry| entry.effect.len()).sum::<usize>();
        let used = uses(group).count();
        (claims(group).count() > 0 || used > 0)
            && claims(group).all(|(_, claim)| keys.insert(claim.key))
            && effects == used
            && used <= 1
            && group.entries.iter().all(|entry| window.hit(entry).is_none())
    };
    batch.iter().enumerate().filter(|(_, group)| only_issues(group)).collect()
}

/// A group's claims, each with its entry's place.
fn claims(group: &Group) -> impl Iterator<Item = (usize, &RequestClaim)> {
    group.entries.iter().enumerate().filter_map(|(entry, e)| Some((entry, e.claim.as_ref()?)))
}

/// The assertions that a group uses up, each with its entry's place.
fn uses(group: &Group) -> impl Iterator<Item = (usize, &AssertionUse)> {
    let writes =
        group.entries.iter().enumerate().flat_map(|(entry, e)| e.effect.iter().map(move |w| (entry, w)));
    writes.filter_map(|(entry, write)| match write {
        Write::UseAssertion(used) => Some((entry, used)),
        _ => None,
    })
}

/// A group of which one entry cannot be applied.
fn failed(group: &Group, entry: usize, why: Applied) -> Vec<Applied> {
    let mut applied = vec![Applied::GroupFailed; group.entries.len()];
    applied[entry] = why;
    applied
}
