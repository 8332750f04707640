//! Revoked means revoked: nothing is issued after the acknowledgement, whoever issues it and whether or not it arrives (promise 5).

use super::recorded::{Call, Row};
use super::{Broken, Deed, History, Received, Rule};

pub(super) fn nothing_after(history: &History) -> Vec<Broken> {
    let mut broken = Vec::new();
    for act in &history.acts {
        let Some(from) = act.acknowledged else { continue };
        let until = until(history, &act.deed, from);
        let what = format!("{:?} was acknowledged", act.deed);
        for (call, _, grant) in history.received() {
            // Sent after the one and answered before the other: inside for sure.
            if hits_grant(&act.deed, call, grant) && call.sent > from && call.ended < until {
                broken.push(Rule::Ended.broken(format!("{} was issued after {what}", grant.id)));
            }
        }
        // A row's time is read before its commit: later than the acknowledgement, it was committed later.
        for row in history.issued().filter(|row| hits_row(history, &act.deed, row)) {
            if row.time() > from && row.time() < until && committed_before(row, history, until) {
                broken.push(Rule::Ended.broken(format!("{} was recorded after {what}", row.text("/id"))));
            }
        }
    }
    broken
}

/// When somebody may have begun to undo it; a revoke is for good.
fn until(history: &History, deed: &Deed, from: i64) -> i64 {
    let Deed::Block(person) = deed else { return i64::MAX };
    let lift = Deed::Lift(person.clone());
    let lifts = history.acts.iter().filter(|act| act.deed == lift && act.sent >= from);
    lifts.map(|act| act.sent).min().unwrap_or(i64::MAX)
}

/// A row's time says nothing about how long its commit then took. What was answered before the end was committed before it.
fn committed_before(row: &Row, history: &History, until: i64) -> bool {
    let id = match row.kind.as_str() {
        "grant.redelivered" => row.text("/grant"),
        _ => row.text("/id"),
    };
    until == i64::MAX || history.received().any(|(call, _, grant)| grant.id == id && call.ended < until)
}

fn hits_grant(deed: &Deed, call: &Call, grant: &Received) -> bool {
    match deed {
        Deed::Revoke(connection) => grant.connection == *connection,
        Deed::Block(person) => call.person == *person,
        Deed::Lift(_) => false,
    }
}

fn hits_row(history: &History, deed: &Deed, row: &Row) -> bool {
    match deed {
        Deed::Revoke(connection) => row.text("/connection") == connection,
        Deed::Block(person) => {
            history.people.get(person).is_some_and(|person| row.text("/subject") == person.pseudonym)
        }
        Deed::Lift(_) => false,
    }
}
