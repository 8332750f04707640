//! Who may have what: scopes within what was asked for and approved by then, and everything the person's own.

use std::collections::HashMap;

use super::recorded::{Call, Row};
use super::{Broken, History, Rule};

/// An approval carries what was completed in its name before; wider, it would be another row.
pub(super) fn scopes(history: &History) -> Vec<Broken> {
    let mut approved = HashMap::<&str, Vec<&Row>>::new();
    let completed = history.allowed("consent.completed");
    completed.for_each(|row| approved.entry(row.text("/approval")).or_default().push(row));
    let mut broken = Vec::new();
    for row in history.issued() {
        let by_then = approved.get(row.text("/approval")).into_iter().flatten();
        let by_then = by_then.filter(|consent| before(consent, row) && same_parties(consent, row));
        let allowed: Vec<&str> = by_then.flat_map(|consent| consent.texts("/scopes_granted")).collect();
        let granted = row.texts("/scopes_granted");
        if granted.is_empty() || !granted.iter().all(|scope| allowed.contains(scope)) {
            let what = format!("{} carries {granted:?}, approved: {allowed:?}", row.text("/id"));
            broken.push(Rule::Scopes.broken(what));
        }
    }
    for (call, asked, grant) in history.received() {
        if !grant.scopes.iter().all(|scope| asked.contains(scope)) {
            let what = format!("{}: asked {asked:?}, granted {:?}", call.purpose, grant.scopes);
            broken.push(Rule::Scopes.broken(what));
        }
        let token = grant.token.iter().flat_map(|token| &token.scopes);
        for scope in token.filter(|scope| !grant.scopes.contains(scope)) {
            broken.push(Rule::Scopes.broken(format!("the token of {} carries {scope}", grant.id)));
        }
    }
    broken
}

/// A row's time is read before its commit, so what was committed before a decision has the earlier one. In one stream the number says.
fn before(earlier: &Row, later: &Row) -> bool {
    if earlier.stream == later.stream { earlier.seq < later.seq } else { earlier.time() <= later.time() }
}

fn same_parties(one: &Row, other: &Row) -> bool {
    ["/workload", "/connection", "/provider", "/subject", "/tenant"]
        .iter()
        .all(|field| one.text(field) == other.text(field))
}

pub(super) fn owners(history: &History) -> Vec<Broken> {
    let calls: HashMap<&str, &Call> =
        history.calls.iter().map(|call| (call.purpose.as_str(), call)).collect();
    let mut broken = Vec::new();
    for row in history.issued() {
        // A row of no call is told by another rule.
        let Some(call) = calls.get(row.text("/purpose")) else { continue };
        let Some(person) = history.people.get(&call.person) else {
            broken.push(Rule::Owner.broken(format!("nobody knows {}", call.person)));
            continue;
        };
        let owner = history.connections.get(row.text("/connection")).map(|found| found.subject.as_str());
        if row.text("/subject") != person.pseudonym || owner != Some(&person.subject) {
            let what = format!("{} asked for {}: {}", call.workload, call.person, row.body);
            broken.push(Rule::Owner.broken(format!("{what}, the connection's owner is {owner:?}")));
        }
    }
    broken.extend(tokens_owners(history));
    broken
}

/// What came from one yes at the provider is one person's, in one connection.
fn tokens_owners(history: &History) -> Vec<Broken> {
    let mut families = HashMap::<u64, (&str, &str)>::new();
    let mut broken = Vec::new();
    for (call, _, grant) in history.received() {
        let Some(token) = &grant.token else {
            broken.push(Rule::Owner.broken(format!("nobody issued the token of {}", grant.id)));
            continue;
        };
        let owner = (call.person.as_str(), grant.connection.as_str());
        let account = history.people.get(owner.0).map(|person| person.account.as_str());
        if account != Some(&token.account) || *families.entry(token.family).or_insert(owner) != owner {
            broken.push(Rule::Owner.broken(format!("{owner:?} was given a token of {token:?}")));
        }
    }
    broken
}
