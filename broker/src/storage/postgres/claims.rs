//! The claims of a batch that can be taken in one statement, before anything else: those of groups that do nothing but issue.

use super::requests;
use crate::{
    domain::{Applied, Group, RequestClaim, Write},
    storage::{StoreError, rule_window::RuleWindow},
};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// What became of such groups, by their place in the batch.
pub(super) type Settled = BTreeMap<usize, Option<RequestClaim>>;

/// Takes them. Order does not matter for these: no other group of the batch has the same key, and none adds a rule.
pub(super) async fn take(
    connection: &mut PgConnection,
    batch: &[Group],
    window: &RuleWindow,
) -> Result<Settled, StoreError> {
    let wanted = alone(batch, window);
    if wanted.is_empty() {
        return Ok(Settled::new());
    }
    let claims: Vec<&RequestClaim> = wanted.values().copied().collect();
    let taken = requests::take_all(&mut *connection, &claims).await?;
    let mut settled = Settled::new();
    for (place, claim) in wanted {
        let holder = match taken.contains(&claim.key) {
            true => None,
            false => Some(requests::holder(&mut *connection, claim).await?),
        };
        settled.insert(place, holder);
    }
    Ok(settled)
}

/// Whether the group's outcome hangs on one claim only; where that is, and which.
fn alone<'b>(batch: &'b [Group], window: &RuleWindow) -> BTreeMap<usize, &'b RequestClaim> {
    let entries = || batch.iter().flat_map(|group| &group.entries);
    if entries().flat_map(|entry| &entry.effect).any(|write| matches!(write, Write::AddRule { .. })) {
        return BTreeMap::new();
    }
    let mut uses: BTreeMap<&[u8; 32], usize> = BTreeMap::new();
    for claim in entries().filter_map(|entry| entry.claim.as_ref()) {
        *uses.entry(&claim.key).or_default() += 1;
    }
    let only_claim = |group: &'b Group| match group.entries.as_slice() {
        [entry] if entry.effect.is_empty() && window.hit(entry).is_none() => entry.claim.as_ref(),
        _ => None,
    };
    let places = batch.iter().enumerate().filter_map(|(place, group)| Some((place, only_claim(group)?)));
    places.filter(|(_, claim)| uses.get(&claim.key) == Some(&1)).collect()
}

/// What such a group is told.
pub(super) fn told(holder: Option<&RequestClaim>) -> Vec<Applied> {
    vec![holder.map_or(Applied::Yes, |holder| Applied::Duplicate(Box::new(holder.clone())))]
}
