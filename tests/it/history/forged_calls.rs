//! One refresh token goes to the provider twice. Whether that is a fault is told by what came of it the first time: each history here is
//! the same but for that.

use broker_tests::history::{Broken, Jump, Rule, check};
use demo::saas::Event;
use serde_json::json;

use super::story::{at, happens, of_refresh, row};
use super::twice::*;

const FORGERIES: &[(&str, First)] = &[
    ("the broker says it was lost, and it was not", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
    ("the second answer was lost", |h| {
        once_more(h);
        lost(h, 131, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
    ("an answer was lost for something else later", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        intent(h, "two", 140, 10, 1);
        settled(h, 142, 10, 1, UNAVAILABLE);
    }),
    ("it was stored, lost or not", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, STORED);
    }),
    ("its holder was killed, and what it kept was stored before", |h| {
        once_more(h);
        sixth(h, 105, true);
        intent(h, "six", 100, 1, 1);
        settled(h, 120, 1, 1, STORED);
    }),
    ("it was refused, and that was written", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, LATCHED);
    }),
    ("an answer was lost for an earlier token", |h| {
        intent(h, "two", 100, 1, 0);
        settled(h, 101, 1, 0, UNAVAILABLE);
        intent(h, "two", 110, 3, 1);
        refreshed(h, 111, 1);
        settled(h, 112, 3, 1, STORED);
        reused(h, 131, 1);
    }),
    ("one intent, two calls", |h| {
        once_more(h);
        refreshed(h, 131, 2);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
    ("the log speaks of another token", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 7);
        settled(h, 102, 1, 7, UNAVAILABLE);
    }),
    ("the log speaks of the same token for two", |h| {
        refreshed(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, STORED);
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(2) });
    }),
    ("somebody else's refresh", |h| {
        once_more(h);
        lost(h, 101, 1);
        let about = of_refresh(json!({ "connection": "con_c", "subject": "psn_ben" }), 1, 1);
        row(&mut h.log, "two", 100, "refresh.intent", "allowed", about);
    }),
    ("called before the intent", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 102, 1, 1);
    }),
    ("called after it was over", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 95, 1, 1);
        settled(h, 96, 1, 1, UNAVAILABLE);
    }),
    ("called by the dead", |h| {
        once_more(h);
        lost(h, 101, 1);
        sixth(h, 100, true);
        intent(h, "six", 99, 1, 1);
    }),
    ("two intents under one lease", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
        intent(h, "two", 110, 9, 1);
    }),
    ("an intent that names no token", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
        let about = json!({ "connection": "con_b", "subject": "psn_ben" });
        row(&mut h.log, "two", 103, "refresh.intent", "allowed", about);
    }),
    ("an answer was lost that nobody gave", |h| {
        once_more(h);
        lost(h, 101, 1);
        lost(h, 101, 7);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
];

const EXPLAINED: &[(&str, First)] = &[
    ("its answer was lost", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
    ("its holder waited no longer", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        settled(h, 112, 1, 1, UNAVAILABLE);
    }),
    ("the clock jumped over its lease, and over all that is waited for", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.extend([105, 110, 120].map(|second| Jump { at: at(second), by: 40_000_000 }));
    }),
    ("another refresh was not sent", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 96, 1, 1);
        settled(h, 97, 1, 1, ("refresh.failed", "failed", "AUDIT_UNAVAILABLE"));
        intent(h, "two", 100, 2, 1);
        settled(h, 102, 2, 1, UNAVAILABLE);
    }),
    // The one that stood still and the one that came after it were both under way: only one order explains it.
    ("two refreshes at once", |h| {
        refreshed(h, 101, 1);
        lost(h, 101, 1);
        sixth(h, 126, false);
        intent(h, "six", 98, 1, 1);
        h.faults.jumps.push(Jump { at: at(99), by: 140_000_000 });
        intent(h, "two", 100, 3, 1);
        settled(h, 102, 3, 1, UNAVAILABLE);
        reused(h, 131, 1);
    }),
];

#[test]
fn a_second_call_is_a_fault_where_nothing_explains_it() {
    for (what, first) in FORGERIES {
        let broken = check(&twice(*first));
        let found = broken.iter().any(|found| found.rule == Rule::OneCall);
        assert!(found, "{what}: one call finds nothing; {broken:#?}");
    }
}

#[test]
fn a_second_call_is_none_where_the_first_answer_was_lost_before() {
    for (what, first) in EXPLAINED {
        assert_eq!(check(&twice(*first)), Vec::<Broken>::new(), "{what}");
    }
}
