//! One refresh token goes to the provider twice. Whether that is a fault is told by what came of it the first time: each history here is
//! the same but for that.

use broker_tests::history::{Broken, History, Jump, Life, Outage, Rule, check};
use demo::saas::{Event, RevokedKind};
use serde_json::{Value, json};

use super::story::{at, happens, of_refresh, row, told};

/// What becomes of the first call.
type First = (&'static str, fn(&mut History));

const STORED: (&str, &str, &str) = ("refresh.stored", "allowed", "");
const UNAVAILABLE: (&str, &str, &str) = ("refresh.failed", "failed", "PROVIDER_UNAVAILABLE");
const LATCHED: (&str, &str, &str) = ("connection.reauth_required", "failed", "PROVIDER_GRANT_REJECTED");

/// Ben's refresh under this lease, with the token of that generation.
fn about(lease: i64, sent: i64) -> Value {
    of_refresh(json!({ "connection": "con_b", "subject": "psn_ben" }), lease, sent)
}

fn intent(h: &mut History, stream: &str, second: i64, lease: i64, sent: i64) {
    row(&mut h.log, stream, second, "refresh.intent", "allowed", about(lease, sent));
}

fn settled(h: &mut History, second: i64, lease: i64, sent: i64, (kind, outcome, reason): (&str, &str, &str)) {
    let mut about = about(lease, sent);
    about["reason"] = json!(reason);
    row(&mut h.log, "two", second, kind, outcome, about);
}

fn refreshed(h: &mut History, second: i64, generation: u32) {
    let scopes = Vec::new();
    happens(h, second, Event::Refreshed { family: 2, generation, issued: generation + 1, scopes });
}

fn reused(h: &mut History, second: i64, generation: u32) {
    happens(h, second, Event::ReuseDetected { family: 2, generation });
    happens(h, second, Event::Revoked { family: 2, kind: RevokedKind::Reuse });
}

fn lost(h: &mut History, second: i64, generation: u32) {
    happens(h, second, Event::ReplyLost { family: 2, generation });
}

/// A process of which there is the stream `six`.
fn sixth(h: &mut History, until: i64, killed: bool) {
    row(&mut h.log, "six", 98, "stream.opened", "allowed", json!({}));
    h.faults.lives.push(Life { from: at(97), listening: at(98), until: Some(at(until)), killed });
}

/// The token of Ben's first generation is answered at 101 s, whatever came of that; it comes again at 131 s, and that is the end of it.
fn twice(first: fn(&mut History)) -> History {
    let mut h = told();
    // His connection is not asked for in the end: it needs him.
    h.provider.pop();
    h.probes[1].presented = None;
    h.connections.get_mut("con_b").expect("a connection").state = "reauth_required".to_owned();
    first(&mut h);
    intent(&mut h, "two", 130, 2, 1);
    settled(&mut h, 132, 2, 1, LATCHED);
    h
}

fn once_more(h: &mut History) {
    refreshed(h, 101, 1);
    reused(h, 131, 1);
}

const FORGERIES: &[First] = &[
    ("nobody says what became of it", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
    }),
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
        intent(h, "two", 140, 3, 1);
        settled(h, 142, 3, 1, UNAVAILABLE);
    }),
    ("it was stored, lost or not", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, STORED);
    }),
    ("its holder was killed only later", |h| {
        once_more(h);
        sixth(h, 140, true);
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
    ("its holder was killed, and what it kept was stored before", |h| {
        once_more(h);
        sixth(h, 105, true);
        intent(h, "six", 100, 1, 1);
        settled(h, 120, 1, 1, STORED);
    }),
    ("the clock did not jump over all of its lease", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.push(Jump { at: at(110), by: 40_000_000 });
    }),
    ("the clock jumped afterwards", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.push(Jump { at: at(140), by: 70_000_000 });
    }),
    ("it was refused, and that was written", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, LATCHED);
    }),
    ("it was refused, and nothing kept that from being written", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
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
        intent(h, "two", 110, 2, 1);
    }),
    ("an intent that names no token", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
        let about = json!({ "connection": "con_b", "subject": "psn_ben" });
        row(&mut h.log, "two", 103, "refresh.intent", "allowed", about);
    }),
];

const EXPLAINED: &[First] = &[
    ("its answer was lost", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
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
    ("its holder waited no longer", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        settled(h, 112, 1, 1, UNAVAILABLE);
    }),
    ("the clock jumped over its lease", |h| {
        once_more(h);
        intent(h, "two", 100, 1, 1);
        h.faults.jumps.extend([105, 110].map(|second| Jump { at: at(second), by: 40_000_000 }));
    }),
    ("it was refused, and the database was away", |h| {
        happens(h, 101, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        happens(h, 131, Event::RefreshRefused { family: Some(2), generation: Some(1) });
        intent(h, "two", 100, 1, 1);
        h.faults.outages.push(Outage { from: at(100), until: at(104) });
    }),
    ("another refresh was not sent", |h| {
        once_more(h);
        lost(h, 101, 1);
        intent(h, "two", 96, 3, 1);
        settled(h, 97, 3, 1, ("refresh.failed", "failed", "AUDIT_UNAVAILABLE"));
        intent(h, "two", 100, 1, 1);
        settled(h, 102, 1, 1, UNAVAILABLE);
    }),
    // The one that stood still and the one that came after it were both under way: only one order explains it.
    ("two refreshes at once", |h| {
        refreshed(h, 101, 1);
        lost(h, 101, 1);
        intent(h, "two", 95, 1, 1);
        settled(h, 125, 1, 1, UNAVAILABLE);
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
