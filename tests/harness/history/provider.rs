//! What the provider was asked: one call per refresh token, unless a reply was lost (RF1).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::recorded::ProviderEvent;
use super::{Broken, History, Rule};

/// Reasons of a failed refresh with which nobody knows what the provider did.
const UNKNOWN: &[&str] = &[
    "PROVIDER_UNAVAILABLE",
    "AUDIT_UNAVAILABLE",
    "STORE_UNAVAILABLE",
    "KEY_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
];

pub(super) fn one_call(history: &History) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut rotated = BTreeSet::new();
    let mut repeats = BTreeMap::<u64, usize>::new();
    for event in &history.provider {
        if let Some((family, generation)) = presented(event)
            && rotated.contains(&(family, generation))
        {
            *repeats.entry(family).or_default() += 1;
        }
        match event {
            // Where nothing was replaced the same token is good for the next refresh.
            ProviderEvent::Refreshed { family, generation, issued, .. } if issued > generation => {
                rotated.insert((*family, *generation));
            }
            ProviderEvent::RefreshRefused { family: None, .. } => {
                broken.push(Rule::OneCall.broken("a refresh token was presented that nobody issued"));
            }
            _ => {}
        }
    }
    let known = connections(history);
    let mut lost = lost_replies(history);
    let mut nameless = 0;
    for (family, times) in repeats {
        match known.get(&family) {
            Some(connection) => {
                let explained = lost.remove(connection).unwrap_or(0);
                if times > explained {
                    let what = format!("{connection}: {times} repeats, {explained} lost replies");
                    broken.push(Rule::OneCall.broken(what));
                }
            }
            None => nameless += times,
        }
    }
    // A family of which nobody received a grant has no name here: any lost reply may have been its.
    let left: usize = lost.values().sum();
    if nameless > left {
        broken.push(Rule::OneCall.broken(format!("{nameless} repeats, {left} lost replies")));
    }
    broken
}

/// The family and generation of the refresh token that came, where it is known.
pub(super) fn presented(event: &ProviderEvent) -> Option<(u64, u32)> {
    match event {
        ProviderEvent::Refreshed { family, generation, .. }
        | ProviderEvent::ReuseDetected { family, generation }
        | ProviderEvent::RefreshRefused { family: Some(family), generation: Some(generation) } => {
            Some((*family, *generation))
        }
        _ => None,
    }
}

/// Which connection holds what came of which code, as far as anybody received a grant of it.
fn connections(history: &History) -> HashMap<u64, &str> {
    let tokens = history.received().filter_map(|(_, _, grant)| Some((grant.token.as_ref()?.family, grant)));
    tokens.map(|(family, grant)| (family, grant.connection.as_str())).collect()
}

/// Per connection: how often the provider was, or may have been, asked without its answer being stored.
pub(super) fn lost_replies(history: &History) -> HashMap<&str, usize> {
    let (mut open, mut unknown) = (HashMap::<&str, usize>::new(), HashMap::<&str, usize>::new());
    let mut settled = HashMap::<&str, usize>::new();
    for row in &history.log {
        let connection = row.text("/connection");
        match row.kind.as_str() {
            "refresh.intent" if row.outcome == "allowed" => *open.entry(connection).or_default() += 1,
            "refresh.stored" if row.outcome == "allowed" => *settled.entry(connection).or_default() += 1,
            "refresh.failed" if UNKNOWN.contains(&row.reason.as_str()) => {
                *settled.entry(connection).or_default() += 1;
                *unknown.entry(connection).or_default() += 1;
            }
            "refresh.failed" | "connection.reauth_required" => {
                *settled.entry(connection).or_default() += 1;
            }
            _ => {}
        }
    }
    for (connection, intents) in open {
        let unsettled = intents.saturating_sub(settled.get(connection).copied().unwrap_or(0));
        *unknown.entry(connection).or_default() += unsettled;
    }
    unknown.retain(|_, times| *times > 0);
    unknown
}
