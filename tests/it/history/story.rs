//! A small true history: two people, four replicas, one of which is killed, a clock that jumps, three refreshes, one lost
//! reply of each kind, one revoke and one block.

use broker_tests::database::Event as Row;
use broker_tests::history::{
    Act, Call, Connection, Deed, End, Facts, Faults, Happened, History, Jump, Life, Person, Presented, Probe,
    Received,
};
use demo::saas::{Event, RevokedKind};
use serde_json::{Value, json};

/// When it begins, in microseconds since 1970; everything later is so many seconds after it.
const START: i64 = 1_790_000_000_000_000;

pub fn at(seconds: i64) -> i64 {
    START + seconds * 1_000_000
}

/// The next row of a stream.
pub fn row(log: &mut Vec<Row>, stream: &str, second: i64, kind: &str, outcome: &str, more: Value) {
    let seq = 1 + log.iter().filter(|row| row.stream == stream).count() as i64;
    let time = broker::domain::Timestamp::from_unix_seconds(at(second) / 1_000_000).rfc3339();
    let mut body = json!({
        "v": 1, "stream": stream, "seq": seq, "time": time, "kind": kind, "outcome": outcome,
        "id": format!("evt_{stream}_{seq}"), "tenant": "company", "provider": "notes",
    });
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    log.push(Row {
        stream: stream.to_owned(),
        seq,
        kind: kind.to_owned(),
        outcome: outcome.to_owned(),
        reason: text("reason"),
        body,
    });
}

fn about(person: &str, connection: &str) -> Value {
    json!({
        "subject": format!("psn_{person}"), "workload": "ticket-helper", "connection": connection,
        "approval": format!("apr_of_{connection}"), "consent": format!("cns_of_{connection}"),
    })
}

fn with(mut value: Value, more: Value) -> Value {
    for (name, field) in more.as_object().expect("fields") {
        value[name] = field.clone();
    }
    value
}

fn call(person: &str, number: usize, sent: i64, scopes: &[&str], end: End) -> Call {
    Call {
        person: person.to_owned(),
        workload: "ticket-helper".to_owned(),
        purpose: format!("ask {number}"),
        request_id: Some(format!("ask-{number}")),
        jti: format!("jti-{number}"),
        items: vec![scopes.iter().map(|scope| (*scope).to_owned()).collect()],
        sent: at(sent),
        ended: at(sent + 2),
        end,
    }
}

/// The row of a refresh: under which lease the token of which generation is sent.
pub fn of_refresh(about: Value, lease: i64, sent: i64) -> Value {
    with(about, json!({ "detail": { "lease": lease, "sent": sent } }))
}

fn granted(id: &str, connection: &str, family: u64, account: &str) -> End {
    let scopes = vec!["notes.read".to_owned()];
    let token = Some(Facts { family, account: account.to_owned(), scopes: scopes.clone() });
    let connection = connection.to_owned();
    End::Granted(vec![Received { id: id.to_owned(), connection, scopes, token }])
}

fn log() -> Vec<Row> {
    let mut log = Vec::new();
    let allowed = "allowed";
    for (stream, second) in [("one", 0), ("two", 1)] {
        row(&mut log, stream, second, "stream.opened", allowed, json!({}));
    }
    for (person, connection, second) in [("ann", "con_a", 2), ("ben", "con_b", 3)] {
        let about = about(person, connection);
        row(&mut log, "one", second, "consent.exchange", allowed, about.clone());
        let scopes = json!({ "scopes_granted": ["notes.read"] });
        row(&mut log, "one", second, "consent.completed", allowed, with(about, scopes));
    }
    let issue = |ask: usize| {
        let (purpose, digest) = (format!("ask {ask}"), format!("digest-{ask}"));
        json!({ "purpose": purpose, "scopes_granted": ["notes.read"], "assertion_sha256": digest })
    };
    let ann = about("ann", "con_a");
    // evt_two_2: received twice, the second time as a redelivery.
    row(&mut log, "two", 11, "grant.issue", allowed, with(ann.clone(), issue(1)));
    row(
        &mut log,
        "one",
        14,
        "grant.redelivered",
        allowed,
        with(with(ann.clone(), issue(1)), json!({ "grant": "evt_two_2" })),
    );
    // evt_two_3: its caller was cut off.
    row(&mut log, "two", 21, "grant.issue", allowed, with(ann.clone(), issue(2)));
    // A refresh that worked, and one whose process died after the provider had answered.
    row(&mut log, "two", 30, "refresh.intent", allowed, of_refresh(ann.clone(), 1, 1));
    row(&mut log, "two", 31, "refresh.stored", allowed, of_refresh(ann.clone(), 1, 1));
    row(&mut log, "five", 39, "stream.opened", allowed, json!({}));
    row(&mut log, "five", 40, "refresh.intent", allowed, of_refresh(ann.clone(), 2, 2));
    row(&mut log, "one", 44, "stream.recovered", allowed, json!({}));
    // The log says itself that this one was not delivered.
    row(&mut log, "two", 46, "grant.issue", allowed, with(ann.clone(), issue(3)));
    row(&mut log, "two", 46, "grant.failed", "failed", with(ann.clone(), json!({ "grant": "evt_two_6" })));
    // A third replica takes over, and learns that the token is dead.
    row(&mut log, "four", 47, "stream.opened", allowed, json!({}));
    row(&mut log, "four", 49, "refresh.intent", allowed, of_refresh(ann.clone(), 3, 2));
    let dead = with(of_refresh(ann, 3, 2), json!({ "reason": "PROVIDER_GRANT_REJECTED" }));
    row(&mut log, "two", 50, "connection.reauth_required", "failed", dead);
    let ben = about("ben", "con_b");
    row(&mut log, "two", 61, "grant.issue", allowed, with(ben.clone(), issue(4)));
    row(&mut log, "one", 65, "block.set", allowed, json!({}));
    row(&mut log, "one", 75, "block.lifted", allowed, json!({}));
    row(&mut log, "one", 81, "grant.issue", allowed, with(ben, issue(5)));
    row(&mut log, "one", 90, "connection.revoked", allowed, json!({ "connection": "con_c" }));
    log
}

fn truth() -> Vec<Happened> {
    let scopes = vec!["notes.read".to_owned()];
    let issued = |family, account: &str| Event::TokensIssued {
        family,
        account: account.to_owned(),
        scopes: scopes.clone(),
        refresh_token: true,
    };
    let refreshed = |family, generation| Event::Refreshed {
        family,
        generation,
        issued: generation + 1,
        scopes: scopes.clone(),
    };
    let events = [
        (2, issued(1, "acct-1")),
        (3, issued(2, "acct-2")),
        (30, refreshed(1, 1)),
        // Nobody stored what came of this one …
        (41, refreshed(1, 2)),
        // … so the same token came again.
        (49, Event::ReuseDetected { family: 1, generation: 2 }),
        (49, Event::Revoked { family: 1, kind: RevokedKind::Reuse }),
        // The probe's.
        (900, refreshed(2, 1)),
    ];
    events.map(|(second, event)| Happened { at: at(second), event }).into()
}

/// Something more at the provider, in the order of time.
pub fn happens(history: &mut History, second: i64, event: Event) {
    let place = history.provider.partition_point(|happened| happened.at <= at(second));
    history.provider.insert(place, Happened { at: at(second), event });
    history.probes.iter_mut().filter(|probe| place <= probe.before).for_each(|probe| probe.before += 1);
}

/// Each with the stream it began with.
fn lives() -> Vec<Life> {
    let life = |from, listening, until: Option<i64>, killed| Life {
        from: at(from),
        listening: at(listening),
        until: until.map(at),
        killed,
    };
    vec![
        life(-1, 0, Some(400), false),
        life(1, 1, Some(400), false),
        life(38, 39, Some(43), true),
        life(46, 47, Some(400), false),
    ]
}

/// All of it.
pub fn told() -> History {
    let person = |subject: &str, name: &str, account: &str| Person {
        subject: subject.to_owned(),
        pseudonym: format!("psn_{name}"),
        account: account.to_owned(),
    };
    let read = &["notes.read"];
    let provider = truth();
    let connection =
        |subject: &str, state: &str| Connection { subject: subject.to_owned(), state: state.to_owned() };
    let act = |deed, sent| Act { deed, sent: at(sent), acknowledged: Some(at(sent + 2)) };
    History {
        people: [
            ("ann".to_owned(), person("u-1", "ann", "acct-1")),
            ("ben".to_owned(), person("u-2", "ben", "acct-2")),
        ]
        .into(),
        calls: vec![
            call("ann", 1, 10, read, granted("evt_two_2", "con_a", 1, "acct-1")),
            call("ann", 1, 13, read, granted("evt_two_2", "con_a", 1, "acct-1")),
            call("ann", 2, 20, read, End::Lost),
            call("ann", 3, 45, read, End::Refused("KEY_UNAVAILABLE".to_owned())),
            call("ben", 4, 60, read, granted("evt_two_9", "con_b", 2, "acct-2")),
            call("ben", 6, 68, read, End::Refused("BLOCKED".to_owned())),
            call("ben", 5, 80, read, granted("evt_one_10", "con_b", 2, "acct-2")),
        ],
        acts: vec![
            act(Deed::Block("ben".to_owned()), 65),
            act(Deed::Lift("ben".to_owned()), 75),
            act(Deed::Revoke("con_c".to_owned()), 90),
        ],
        connections: [
            ("con_a".to_owned(), connection("u-1", "reauth_required")),
            ("con_b".to_owned(), connection("u-2", "active")),
            ("con_c".to_owned(), connection("u-2", "revoked")),
        ]
        .into(),
        probes: vec![
            Probe { connection: "con_a".to_owned(), before: 6, presented: None },
            Probe {
                connection: "con_b".to_owned(),
                before: 6,
                presented: Some(Presented { family: 2, generation: 1 }),
            },
        ],
        log: log(),
        provider,
        // Past the lease of the one that was killed, and for as long as its token is left alone.
        faults: Faults {
            lives: lives(),
            jumps: vec![Jump { at: at(45), by: 140_000_000 }],
            ..Faults::default()
        },
        one_time: true,
    }
}
