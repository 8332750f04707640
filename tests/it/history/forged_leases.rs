//! One refresh token goes to the provider twice, and nobody said what became of it the first time: its lease is waited for, and for
//! as long again as its holder may come back. Told too early each of these is a fault of the lease's.

use broker_tests::history::{Broken, Jump, Outage, Rule, check};
use demo::saas::Event;

use super::story::{at, happens};
use super::twice::*;

/// What is always long enough, in seconds after 130 s: lease, call and grace are 132 s.
const LATE: i64 = 102;
/// A second less than that.
const EARLY: i64 = LATE - 1;

/// However late it is.
const FORGERIES: &[(&str, First)] = &[
    ("nobody says what became of it", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
    }),
    ("its holder was killed only later", |h| {
        once_more(h);
        sixth(h, 250, true);
        intent(h, "six", 100, 1, 1);
    }),
    ("its holder was stopped, and finished what it was at", |h| {
        once_more(h);
        sixth(h, 105, false);
        intent(h, "six", 100, 1, 1);
    }),
    ("another was killed", |h| {
        once_more(h);
        sixth(h, 105, true);
        intent(h, "two", 100, 1, 1);
    }),
    ("the clock did not jump over all of its lease", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.push(Jump { at: at(110), by: 40_000_000 });
    }),
    ("the clock jumped afterwards", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.push(Jump { at: at(250), by: 70_000_000 });
    }),
    ("it was refused, and nothing kept that from being written", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
    }),
    ("its holder was killed long after, and nothing had kept it from storing what came", |h| {
        once_more(h);
        sixth(h, 125, true);
        intent(h, "six", 100, 1, 1);
    }),
    ("the same, and the database was away before the call", |h| {
        once_more(h);
        sixth(h, 125, true);
        intent(h, "six", 100, 1, 1);
        h.faults.outages.push(Outage { from: at(90), until: at(95) });
    }),
];

/// Late enough.
const EXPLAINED: &[(&str, First)] = &[
    ("its answer was lost, and its holder killed before it said so", |h| {
        once_more(h);
        lost(h, 101, 1);
        sixth(h, 102, true);
        intent(h, "six", 100, 1, 1);
    }),
    ("its holder was killed", |h| {
        once_more(h);
        sixth(h, 105, true);
        intent(h, "six", 100, 1, 1);
    }),
    ("it was refused, and the database was away", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
        h.faults.outages.push(Outage { from: at(100), until: at(104) });
    }),
    ("its holder was killed long after, and had not been able to store what came", |h| {
        once_more(h);
        sixth(h, 125, true);
        intent(h, "six", 100, 1, 1);
        h.faults.outages.push(Outage { from: at(104), until: at(124) });
    }),
];

/// 30 s after the first one.
const AT_ONCE: &[(&str, First)] = &[
    ("a live one and another, and nobody gave a lease back", |h| {
        refreshed(h, 101, 1);
        lost(h, 101, 1);
        intent(h, "two", 95, 1, 1);
        settled(h, 125, 1, 1, UNAVAILABLE);
        intent(h, "two", 100, 3, 1);
        settled(h, 102, 3, 1, UNAVAILABLE);
        reused(h, 131, 1);
    }),
    ("the clock jumped by less than was to be waited for", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.extend([105, 110].map(|second| Jump { at: at(second), by: 40_000_000 }));
    }),
    ("the clock jumped before the lease was taken", |h| {
        once_more(h);
        lost(h, 101, 1);
        sixth(h, 102, true);
        intent(h, "six", 100, 1, 1);
        h.faults.jumps.push(Jump { at: at(94), by: 140_000_000 });
    }),
    ("a lease that was given back by somebody else's refresh", |h| {
        once_more(h);
        lost(h, 101, 1);
        sixth(h, 102, true);
        intent(h, "six", 100, 1, 1);
        settled(h, 110, 2, 1, UNAVAILABLE);
    }),
];

#[test]
fn a_lease_that_nobody_gave_back_is_waited_for() {
    let early = EXPLAINED.iter().map(|(what, first)| (what, twice_later(EARLY, *first)));
    let at_once = EXPLAINED.iter().chain(AT_ONCE).map(|(what, first)| (what, twice(*first)));
    for (what, history) in early.chain(at_once) {
        let broken = check(&history);
        let found = broken.iter().any(|found| found.rule == Rule::Lease);
        assert!(found, "{what}: the lease finds nothing; {broken:#?}");
    }
}

#[test]
fn a_second_call_is_a_fault_however_late_where_nothing_explains_it() {
    for (what, first) in FORGERIES {
        let broken = check(&twice_later(LATE, *first));
        let found = broken.iter().any(|found| found.rule == Rule::OneCall);
        assert!(found, "{what}: one call finds nothing; {broken:#?}");
        assert!(
            broken.iter().all(|found| found.rule != Rule::Lease),
            "{what}: it was late enough; {broken:#?}"
        );
    }
}

#[test]
fn a_second_call_is_none_where_its_first_holder_was_waited_for() {
    for (what, first) in EXPLAINED {
        assert_eq!(check(&twice_later(LATE, *first)), Vec::<Broken>::new(), "{what}");
    }
}
