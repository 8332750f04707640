//! Grants and rows, both ways: no row, no grant; and a row without a grant has a reason (AU1, AU17).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::recorded::{End, Row};
use super::{Broken, History, Rule};

pub(super) fn rows_of_grants(history: &History) -> Vec<Broken> {
    let mut rows = HashMap::<&str, Vec<&Row>>::new();
    history.allowed("grant.issue").for_each(|row| rows.entry(row.text("/id")).or_default().push(row));
    let mut broken = Vec::new();
    for (call, _, grant) in history.received() {
        let found = rows.get(grant.id.as_str()).map_or(&[][..], Vec::as_slice);
        let [row] = found else {
            broken.push(Rule::RowOfAGrant.broken(format!("grant {} has {} rows", grant.id, found.len())));
            continue;
        };
        let said = [row.text("/purpose"), row.text("/workload"), row.text("/connection")];
        let asked = [call.purpose.as_str(), &call.workload, &grant.connection];
        if said != asked || row.texts("/scopes_granted") != grant.scopes {
            let what = format!("grant {}: {asked:?} {:?}, its row: {}", grant.id, grant.scopes, row.body);
            broken.push(Rule::RowOfAGrant.broken(what));
        }
    }
    broken
}

pub(super) fn deliveries(history: &History) -> Vec<Broken> {
    let mut again = HashMap::<&str, usize>::new();
    let redelivered = history.allowed("grant.redelivered");
    redelivered.for_each(|row| *again.entry(row.text("/grant")).or_default() += 1);
    let mut received = BTreeMap::<&str, usize>::new();
    history.received().for_each(|(_, _, grant)| *received.entry(&grant.id).or_default() += 1);
    let rows = |id: &str| 1 + again.get(id).copied().unwrap_or(0);
    let more = received.into_iter().filter(|(id, times)| *times > rows(id));
    more.map(|(id, times)| {
        Rule::RowOfADelivery.broken(format!("grant {id} was received {times} times, with {} rows", rows(id)))
    })
    .collect()
}

/// Counted per ask: its rows are at least its answers', and at most those and one set for every answer that was lost.
pub(super) fn rows_without_grants(history: &History) -> Vec<Broken> {
    let undelivered: HashSet<&str> =
        history.log.iter().filter(|row| row.kind == "grant.failed").map(|row| row.text("/grant")).collect();
    let mut asks = BTreeMap::<&str, Ask>::new();
    for call in &history.calls {
        let ask = asks.entry(&call.purpose).or_default();
        match &call.end {
            End::Granted(grants) => ask.answered += grants.len(),
            end if end.may_hide_a_row() => ask.lost += call.items.len(),
            _ => {}
        }
    }
    for row in history.issued().filter(|row| !undelivered.contains(row.text("/id"))) {
        asks.entry(row.text("/purpose")).or_default().rows += 1;
    }
    let odd =
        asks.into_iter().filter(|(_, ask)| !(ask.answered..=ask.answered + ask.lost).contains(&ask.rows));
    odd.map(|(purpose, ask)| Rule::RowWithoutAGrant.broken(format!("{purpose}: {ask:?}"))).collect()
}

/// In grants.
#[derive(Debug, Default)]
struct Ask {
    rows: usize,
    answered: usize,
    lost: usize,
}
