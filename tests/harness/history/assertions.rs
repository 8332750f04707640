//! Where an assertion is good once (ID12), one answer with grants is what it brought, in the clients' hands and in the log.

use std::collections::{BTreeMap, BTreeSet};

use super::recorded::End;
use super::{Broken, History, Rule};

pub(super) fn good_once(history: &History) -> Vec<Broken> {
    if !history.one_time {
        return Vec::new();
    }
    let mut brought = BTreeMap::<&str, BTreeSet<Vec<&str>>>::new();
    for call in &history.calls {
        if let End::Granted(grants) = &call.end {
            // The same grants to the same request are delivered again, not issued.
            let ids = grants.iter().map(|grant| grant.id.as_str()).collect();
            brought.entry(&call.jti).or_default().insert(ids);
        }
    }
    let twice = brought.into_iter().filter(|(_, answers)| answers.len() > 1);
    let twice = twice.map(|(jti, answers)| format!("the assertion {jti} brought {answers:?}"));
    // Whoever received them: a row is a grant that was issued.
    let mut used = BTreeMap::<&str, BTreeSet<&str>>::new();
    for row in history.allowed("grant.issue") {
        used.entry(row.text("/assertion_sha256")).or_default().insert(row.text("/purpose"));
    }
    let more = used.into_iter().filter(|(digest, asks)| !digest.is_empty() && asks.len() > 1);
    let more =
        more.map(|(digest, asks)| format!("the assertion with digest {digest} is on the rows of {asks:?}"));
    twice.chain(more).map(|what| Rule::Assertion.broken(what)).collect()
}
