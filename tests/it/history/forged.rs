//! The checker accepts what is true and finds what is not: every rule is shown histories that break it, and says which it was.

use std::collections::BTreeSet;

use broker_tests::history::{Broken, Deed, End, History, Received, Rule, check};
use demo::saas::{Event, RevokedKind};
use serde_json::{Value, json};

use super::story::{at, happens, of_refresh, row, told};

type Forgery = (&'static str, Rule, fn(&mut History));
type Explained = (&'static str, fn(&mut History));

/// What somebody might have done, and who finds it.
const FORGERIES: &[Forgery] = &[
    ("a grant without a row", Rule::RowOfAGrant, |h| grant(h, 4).id = "evt_nobody".to_owned()),
    ("a grant with two rows", Rule::RowOfAGrant, |h| {
        let twin = find(h, "evt_two_9").clone();
        h.log.push(broker_tests::database::Event { stream: "three".to_owned(), seq: 1, ..twin });
    }),
    ("a row that denies", Rule::RowOfAGrant, |h| find(h, "evt_two_9").outcome = "denied".to_owned()),
    ("another connection", Rule::RowOfAGrant, |h| grant(h, 4).connection = "con_a".to_owned()),
    ("another workload", Rule::RowOfAGrant, |h| set(h, "evt_two_9", "workload", json!("report-writer"))),
    ("another grant's row", Rule::RowOfAGrant, |h| set(h, "evt_two_9", "purpose", json!("ask 5"))),
    ("more than the row says", Rule::RowOfAGrant, |h| {
        grant(h, 4).scopes = vec!["notes.read".to_owned(), "notes.write".to_owned()];
    }),
    ("a second delivery without a row", Rule::RowOfADelivery, |h| h.calls.push(h.calls[4].clone())),
    ("a delivery whose row is gone", Rule::RowOfADelivery, |h| {
        h.log.retain(|row| row.kind != "grant.redelivered");
    }),
    ("a row nobody asked for", Rule::RowWithoutAGrant, |h| set(h, "evt_two_3", "purpose", json!("ask 99"))),
    ("a row for a refusal", Rule::RowWithoutAGrant, |h| {
        h.calls[2].end = End::Refused("POLICY_DENIED".to_owned());
    }),
    ("a row for a consent", Rule::RowWithoutAGrant, |h| h.calls[2].end = End::Consent),
    ("two rows for one lost reply", Rule::RowWithoutAGrant, |h| {
        let mut twin = find(h, "evt_two_3").clone();
        twin.body["id"] = json!("evt_three_1");
        h.log.push(broker_tests::database::Event { stream: "three".to_owned(), seq: 1, ..twin });
    }),
    ("an undelivered grant that was not failed", Rule::RowWithoutAGrant, |h| {
        let (kind, other) = ("grant.failed", "call.denied");
        h.log.iter_mut().filter(|row| row.kind == kind).for_each(|row| row.kind = other.to_owned());
    }),
    ("wider than approved", Rule::Scopes, |h| {
        set(h, "evt_two_9", "scopes_granted", json!(["notes.read", "notes.write"]));
    }),
    ("approved only later", Rule::Scopes, |h| {
        for row in h.log.iter_mut().filter(|row| row.kind == "consent.completed") {
            row.body["time"] = json!("2031-01-01T00:00:00Z");
        }
    }),
    ("approved later in the same stream", Rule::Scopes, |h| {
        let completed = h.log.iter_mut().filter(|row| row.kind == "consent.completed");
        completed.for_each(|row| row.seq += 100);
    }),
    ("approved for another server", Rule::Scopes, |h| {
        for row in h.log.iter_mut().filter(|row| row.kind == "consent.completed") {
            row.body["workload"] = json!("report-writer");
        }
    }),
    ("an approval nobody gave", Rule::Scopes, |h| set(h, "evt_two_9", "approval", json!("apr_x"))),
    ("not asked for", Rule::Scopes, |h| h.calls[4].items = vec![vec!["notes.write".to_owned()]]),
    ("a token that can do more", Rule::Scopes, |h| {
        grant(h, 4).token.as_mut().expect("a token").scopes.push("notes.write".to_owned());
    }),
    ("another person's row", Rule::Owner, |h| set(h, "evt_two_9", "subject", json!("psn_ann"))),
    ("another person's connection", Rule::Owner, |h| {
        h.connections.get_mut("con_b").expect("a connection").subject = "u-1".to_owned();
    }),
    ("a connection that is gone", Rule::Owner, |h| drop(h.connections.remove("con_b"))),
    ("another account's token", Rule::Owner, |h| {
        grant(h, 4).token.as_mut().expect("a token").account = "acct-1".to_owned();
    }),
    ("one family, two people", Rule::Owner, |h| {
        h.people.get_mut("ben").expect("ben").account = "acct-1".to_owned();
        for number in [4, 6] {
            let token = grant(h, number).token.as_mut().expect("a token");
            (token.family, token.account) = (1, "acct-1".to_owned());
        }
    }),
    ("a token nobody issued", Rule::Owner, |h| grant(h, 4).token = None),
    ("a second call with one token", Rule::OneCall, |h| {
        happens(h, 950, Event::ReuseDetected { family: 2, generation: 1 });
    }),
    ("a reuse of what nobody refreshed", Rule::OneCall, |h| {
        h.log.retain(|row| (row.kind.as_str(), row.stream.as_str()) != ("refresh.intent", "five"));
    }),
    ("a refresh token from nowhere", Rule::OneCall, |h| {
        happens(h, 95, Event::RefreshRefused { family: None, generation: None });
    }),
    ("a family that nobody was given", Rule::OneCall, |h| {
        happens(h, 95, Event::Refreshed { family: 7, generation: 1, issued: 1, scopes: Vec::new() });
    }),
    ("a refresh while another was under way", Rule::Lease, |h| {
        let about = |lease| of_refresh(json!({ "connection": "con_b", "subject": "psn_ben" }), lease, 1);
        row(&mut h.log, "two", 100, "refresh.intent", "allowed", about(1));
        row(&mut h.log, "two", 110, "refresh.intent", "allowed", about(2));
        row(&mut h.log, "two", 112, "refresh.stored", "allowed", about(1));
    }),
    ("a token is stored that was ended", Rule::LastToken, |h| {
        happens(h, 95, Event::Revoked { family: 2, kind: RevokedKind::Family });
        refused_in_the_end(h);
    }),
    ("a token is stored that died of a reuse of which its broker was told", Rule::LastToken, |h| {
        sent_twice(h);
        refused_in_the_end(h);
    }),
    ("an older token is stored", Rule::LastToken, |h| happens(h, 60, refreshed(1))),
    ("a token of an earlier yes is stored", Rule::LastToken, |h| {
        grant(h, 6).token.as_mut().expect("a token").family = 3;
    }),
    ("an older token is stored, and what came for it was stored too", Rule::LastToken, |h| {
        let about = of_refresh(json!({ "connection": "con_b", "subject": "psn_ben" }), 1, 1);
        row(&mut h.log, "two", 100, "refresh.intent", "allowed", about.clone());
        happens(h, 101, refreshed(1));
        row(&mut h.log, "two", 102, "refresh.stored", "allowed", about);
    }),
    ("two generations behind, and both answers lost", Rule::LastToken, |h| {
        for generation in [1, 2] {
            let second = 100 + 10 * i64::from(generation);
            let about =
                json!({ "connection": "con_b", "subject": "psn_ben", "reason": "PROVIDER_UNAVAILABLE" });
            let about = of_refresh(about, i64::from(generation), i64::from(generation));
            row(&mut h.log, "two", second, "refresh.intent", "allowed", about.clone());
            happens(h, second + 1, refreshed(generation));
            happens(h, second + 1, Event::ReplyLost { family: 2, generation });
            row(&mut h.log, "two", second + 2, "refresh.failed", "failed", about);
        }
    }),
    ("no token is stored", Rule::LastToken, |h| h.probes[1].presented = None),
    ("dead without a word", Rule::LastToken, |h| {
        h.log.retain(|row| row.kind != "connection.reauth_required");
    }),
    ("a dead one that is used", Rule::LastToken, |h| h.probes[0].presented = h.probes[1].presented),
    ("a connection in no state", Rule::LastToken, |h| {
        h.connections.get_mut("con_b").expect("a connection").state = String::new();
    }),
    ("issued after a revoke", Rule::Ended, |h| {
        h.acts[2].deed = Deed::Revoke("con_b".to_owned());
        h.acts[2].acknowledged = Some(at(70));
    }),
    ("recorded after a revoke, and not received", Rule::Ended, |h| {
        h.acts[2].deed = Deed::Revoke("con_a".to_owned());
        h.acts[2].acknowledged = Some(at(15));
        h.calls[1].sent = at(9);
    }),
    ("redelivered after a revoke", Rule::Ended, |h| {
        h.acts[2].deed = Deed::Revoke("con_a".to_owned());
        h.acts[2].acknowledged = Some(at(12));
    }),
    ("issued while blocked", Rule::Ended, |h| {
        (h.calls[6].sent, h.calls[6].ended) = (at(70), at(72));
    }),
    ("recorded while blocked, and answered then", Rule::Ended, |h| {
        set(h, "evt_one_10", "time", json!("2026-09-21T14:14:31Z"));
        (h.calls[6].sent, h.calls[6].ended) = (at(60), at(72));
    }),
    ("issued after a block that was never lifted", Rule::Ended, |h| drop(h.acts.remove(1))),
    ("a request id with two grants", Rule::Once, |h| {
        h.calls[6].purpose = "ask 4".to_owned();
        h.calls[6].request_id = Some("ask-4".to_owned());
        set(h, "evt_one_10", "purpose", json!("ask 4"));
    }),
    ("a state used twice", Rule::Once, |h| {
        set_all(h, "consent.exchange", "consent", json!("cns_of_con_a"));
    }),
    ("a link used twice", Rule::Once, |h| {
        set_all(h, "consent.completed", "consent", json!("cns_of_con_a"));
    }),
    ("an event id used twice", Rule::Once, |h| set(h, "evt_two_1", "id", json!("evt_one_1"))),
    ("a code used twice", Rule::Once, |h| happens(h, 95, Event::CodeReplayed { family: 1 })),
    ("two grants on one assertion", Rule::Assertion, |h| h.calls[6].jti = "jti-4".to_owned()),
    ("two grants on one assertion, one of which nobody received", Rule::Assertion, |h| {
        set(h, "evt_two_3", "assertion_sha256", json!("digest-1"));
    }),
    ("another grant to a repeat of a request", Rule::Assertion, |h| grant(h, 1).id = "evt_one_10".to_owned()),
    ("a row is gone", Rule::Contiguous, |h| h.log.retain(|row| row.text("/id") != "evt_two_5")),
    ("a row is there twice", Rule::Contiguous, |h| {
        let last = h.log.last().expect("a row").clone();
        h.log.push(last);
    }),
    ("a first row is gone", Rule::Contiguous, |h| {
        h.log.retain(|row| row.text("/id") != "evt_one_1");
    }),
];

/// The probe of Ben's token.
fn refused_in_the_end(h: &mut History) {
    let last = h.provider.last_mut().expect("the probe's");
    last.event = Event::RefreshRefused { family: Some(2), generation: Some(1) };
}

/// Ben's token, whose first answer was lost.
fn sent_twice(h: &mut History) {
    let about = |lease| {
        let about = json!({ "connection": "con_b", "subject": "psn_ben", "reason": "PROVIDER_UNAVAILABLE" });
        of_refresh(about, lease, 1)
    };
    for (lease, second) in [(1, 100), (2, 120)] {
        row(&mut h.log, "two", second, "refresh.intent", "allowed", about(lease));
        row(&mut h.log, "two", second + 2, "refresh.failed", "failed", about(lease));
    }
    happens(h, 101, refreshed(1));
    happens(h, 101, Event::ReplyLost { family: 2, generation: 1 });
    happens(h, 121, Event::ReuseDetected { family: 2, generation: 1 });
    happens(h, 121, Event::Revoked { family: 2, kind: RevokedKind::Reuse });
}

/// Of family 2.
fn refreshed(generation: u32) -> Event {
    Event::Refreshed { family: 2, generation, issued: generation + 1, scopes: Vec::new() }
}

fn grant(history: &mut History, number: usize) -> &mut Received {
    match &mut history.calls[number].end {
        End::Granted(grants) => &mut grants[0],
        end => panic!("call {number} ended with {end:?}"),
    }
}

fn find<'a>(history: &'a mut History, id: &str) -> &'a mut broker_tests::database::Event {
    history.log.iter_mut().find(|row| row.text("/id") == id).expect("the row")
}

fn set(history: &mut History, id: &str, field: &str, value: Value) {
    find(history, id).body[field] = value;
}

fn set_all(history: &mut History, kind: &str, field: &str, value: Value) {
    let rows = history.log.iter_mut().filter(|row| row.kind == kind);
    rows.for_each(|row| row.body[field] = value.clone());
}

#[test]
fn a_true_history_is_accepted() {
    assert_eq!(check(&told()), Vec::<Broken>::new());
}

#[test]
fn every_forged_history_is_rejected_by_the_rule_it_breaks() {
    for (what, rule, forge) in FORGERIES {
        let mut history = told();
        forge(&mut history);
        let broken = check(&history);
        assert!(
            broken.iter().any(|found| found.rule == *rule),
            "{what}: {rule:?} finds nothing; {broken:#?}"
        );
    }
    let shown: BTreeSet<Rule> = FORGERIES.iter().map(|(_, rule, _)| *rule).collect();
    assert_eq!(shown, BTreeSet::from(Rule::ALL), "every rule is shown what breaks it");
}

/// What is explained is no fault: each of these differs from a forgery by its explanation alone.
#[test]
fn a_history_with_an_explanation_is_accepted() {
    let explained: [Explained; 9] = [
        ("an ambiguous commit", |h| h.calls[2].end = End::Refused("AUDIT_UNAVAILABLE".to_owned())),
        ("an answer that was lost, and the token before it is stored", |h| {
            let about =
                json!({ "connection": "con_b", "subject": "psn_ben", "reason": "PROVIDER_UNAVAILABLE" });
            let about = of_refresh(about, 1, 1);
            row(&mut h.log, "two", 100, "refresh.intent", "allowed", about.clone());
            happens(h, 101, refreshed(1));
            happens(h, 101, Event::ReplyLost { family: 2, generation: 1 });
            row(&mut h.log, "two", 102, "refresh.failed", "failed", about);
        }),
        ("a token that died of a reuse, and nobody was told", |h| {
            sent_twice(h);
            happens(h, 121, Event::ReplyLost { family: 2, generation: 1 });
            refused_in_the_end(h);
        }),
        ("a token of an earlier authorization, which was confirmed last", |h| {
            grant(h, 6).token.as_mut().expect("a token").family = 3;
            let about = json!({
                "connection": "con_b", "subject": "psn_ben", "workload": "ticket-helper", "approval": "apr_of_con_b",
                "consent": "cns_other", "scopes_granted": ["notes.read"],
            });
            row(&mut h.log, "two", 1, "consent.exchange", "allowed", about.clone());
            row(&mut h.log, "two", 92, "consent.completed", "allowed", about);
        }),
        ("a refresh token that stays good", |h| {
            for lease in [1, 2] {
                let second = 100 + 10 * lease;
                let about = of_refresh(json!({ "connection": "con_b", "subject": "psn_ben" }), lease, 1);
                row(&mut h.log, "two", second, "refresh.intent", "allowed", about.clone());
                happens(
                    h,
                    second + 1,
                    Event::Refreshed { family: 2, generation: 1, issued: 1, scopes: Vec::new() },
                );
                row(&mut h.log, "two", second + 2, "refresh.stored", "allowed", about);
            }
        }),
        ("an assertion that was used, and refused", |h| {
            let mut replayed = h.calls[6].clone();
            (replayed.purpose, replayed.request_id) = ("ask 7".to_owned(), None);
            replayed.end = End::Refused("ASSERTION_REPLAYED".to_owned());
            h.calls.push(replayed);
        }),
        ("two grants on one assertion that is good for more", |h| {
            h.one_time = false;
            h.calls[6].jti = "jti-4".to_owned();
            set(h, "evt_one_10", "assertion_sha256", json!("digest-4"));
        }),
        ("a call under way while somebody is blocked", |h| {
            (h.calls[6].sent, h.calls[6].ended) = (at(60), at(82));
        }),
        ("a block that was not acknowledged", |h| {
            h.acts[0].acknowledged = None;
            (h.calls[6].sent, h.calls[6].ended) = (at(70), at(72));
        }),
    ];
    for (what, change) in explained {
        let mut history = told();
        change(&mut history);
        assert_eq!(check(&history), Vec::<Broken>::new(), "{what}");
    }
}
