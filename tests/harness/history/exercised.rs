//! How much of a history a rule has to do with: one that nothing happened for proves nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::History;
use super::asked::Answer;
use super::attempts::How;
use super::explained::Explained;
use super::recorded::{Call, Deed, End};

/// How often there was something for the rules to look at.
pub fn exercised(history: &History) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    refreshes(history, &mut counts);
    grants(history, &mut counts);
    let acknowledged = |deed: fn(&Deed) -> bool| {
        history.acts.iter().filter(|act| act.acknowledged.is_some() && deed(&act.deed)).count()
    };
    counts.insert("revokes", acknowledged(|deed| matches!(deed, Deed::Revoke(_))));
    counts.insert("blocks", acknowledged(|deed| matches!(deed, Deed::Block(_))));
    let streams: HashSet<&str> = history.log.iter().map(|row| row.stream.as_str()).collect();
    counts.insert("streams", streams.len());
    let presented = history.probes.iter().filter(|probe| probe.presented.is_some()).count();
    counts.insert("probes that sent a token", presented);
    counts.insert("probes that sent none", history.probes.len() - presented);
    counts
}

fn refreshes(history: &History, counts: &mut BTreeMap<&'static str, usize>) {
    let explained = Explained::of(history);
    counts.insert("refreshes", explained.attempts.len());
    counts.insert("refresh calls", explained.calls.len());
    let settled = |how: fn(Option<How<'_>>) -> bool| {
        let all = explained.attempts.iter().map(|attempt| attempt.settled.map(|settled| settled.how));
        all.filter(|found| how(*found)).count()
    };
    counts.insert("refreshes that failed", settled(|how| matches!(how, Some(How::Failed(_)))));
    counts.insert("refreshes nobody settled", settled(|how| how.is_none()));
    counts.insert("replies lost", explained.calls.iter().filter(|call| call.lost).count());
    for (number, call) in explained.calls.iter().enumerate() {
        let earlier = explained.calls.iter().enumerate().take(number);
        let spent = earlier.filter(|(_, e)| e.token == call.token && e.answer != Answer::Kept);
        for (first, _) in spent {
            let excuse = explained.excuse(first, call.at);
            *counts.entry(excuse.map_or("repeats without an excuse", |excuse| excuse.name())).or_default() +=
                1;
        }
    }
}

fn grants(history: &History, counts: &mut BTreeMap<&'static str, usize>) {
    let received: HashSet<&str> = history.received().map(|(_, _, grant)| grant.id.as_str()).collect();
    counts.insert("grants", received.len());
    let unseen = history.allowed("grant.issue").filter(|row| !received.contains(row.text("/id"))).count();
    counts.insert("rows without a received grant", unseen);
    counts.insert("redeliveries", history.allowed("grant.redelivered").count());
    let deliveries = history.received().count();
    counts.insert("grants received again", deliveries - received.len());
    counts.insert("asked with a used assertion", with_used(history));
    let replayed = |call: &&Call| matches!(&call.end, End::Refused(reason) if reason == "ASSERTION_REPLAYED");
    counts.insert("assertions refused as used", history.calls.iter().filter(replayed).count());
}

/// Calls that want something else on an assertion that had brought something when they were sent.
fn with_used(history: &History) -> usize {
    let mut used = HashMap::<&str, Vec<&Call>>::new();
    let granted = history.calls.iter().filter(|call| matches!(call.end, End::Granted(_)));
    granted.for_each(|call| used.entry(&call.jti).or_default().push(call));
    let is_used = |call: &&Call| {
        let earlier = used.get(call.jti.as_str()).into_iter().flatten();
        earlier.clone().any(|first| first.ended < call.sent && first.purpose != call.purpose)
    };
    history.calls.iter().filter(is_used).count()
}
