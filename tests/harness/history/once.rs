//! What may be used once, and numbers that have no gap.

use std::collections::{BTreeMap, HashMap};

use super::recorded::ProviderEvent;
use super::{Broken, History, Rule};

pub(super) fn used_once(history: &History) -> Vec<Broken> {
    let mut uses = BTreeMap::<String, (usize, usize)>::new();
    let mut used = |what: String, most: usize| {
        let uses = uses.entry(what).or_insert((0, most));
        uses.0 += 1;
    };
    let asks: HashMap<&str, (&str, usize)> = history
        .calls
        .iter()
        .filter_map(|call| Some((call.purpose.as_str(), (call.request_id.as_deref()?, call.items.len()))))
        .collect();
    for row in &history.log {
        used(format!("event id {}", row.text("/id")), 1);
        let consent = row.text("/consent");
        match (row.kind.as_str(), row.outcome.as_str()) {
            ("grant.issue", "allowed") => {
                if let Some((id, items)) = asks.get(row.text("/purpose")) {
                    used(format!("request id {id} of {}", row.text("/workload")), *items);
                }
            }
            // Its state was consumed, and its handle came to an end.
            ("consent.exchange", "allowed") => used(format!("state of {consent}"), 1),
            ("consent.completed", "allowed") => used(format!("handle of {consent}"), 1),
            _ => {}
        }
    }
    let more = uses.into_iter().filter(|(_, (times, most))| times > most);
    let mut broken: Vec<Broken> =
        more.map(|(what, (times, _))| Rule::Once.broken(format!("{what} was used {times} times"))).collect();
    for happened in &history.provider {
        if let ProviderEvent::CodeReplayed { family } = happened.event {
            broken.push(Rule::Once.broken(format!("the code of family {family} came twice")));
        }
    }
    broken
}

pub(super) fn contiguous(history: &History) -> Vec<Broken> {
    let mut streams = BTreeMap::<&str, Vec<i64>>::new();
    history.log.iter().for_each(|row| streams.entry(&row.stream).or_default().push(row.seq));
    let mut broken = Vec::new();
    for (stream, numbers) in streams {
        let gap = (1..).zip(&numbers).find(|(due, number)| due != *number);
        if let Some((due, number)) = gap {
            broken.push(Rule::Contiguous.broken(format!("{stream}: {number} where {due} is due")));
        }
    }
    broken
}
