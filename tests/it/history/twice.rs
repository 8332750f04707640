//! A history in which one refresh token goes to the provider twice, and the words to tell it in.

use broker::domain::Timestamp;
use broker_tests::history::{History, Life};
use demo::saas::{Event, RevokedKind};
use serde_json::{Value, json};

use super::story::{at, happens, of_refresh, row, told};

/// What becomes of the first call.
pub type First = fn(&mut History);

/// The second call's lease.
const SECOND: i64 = 9;

pub const STORED: (&str, &str, &str) = ("refresh.stored", "allowed", "");
pub const UNAVAILABLE: (&str, &str, &str) = ("refresh.failed", "failed", "PROVIDER_UNAVAILABLE");
pub const LATCHED: (&str, &str, &str) = ("connection.reauth_required", "failed", "PROVIDER_GRANT_REJECTED");

/// Ben's refresh under this lease, with the token of that generation.
pub fn about(lease: i64, sent: i64) -> Value {
    of_refresh(json!({ "connection": "con_b", "subject": "psn_ben" }), lease, sent)
}

pub fn intent(h: &mut History, stream: &str, second: i64, lease: i64, sent: i64) {
    row(&mut h.log, stream, second, "refresh.intent", "allowed", about(lease, sent));
}

pub fn settled(
    h: &mut History,
    second: i64,
    lease: i64,
    sent: i64,
    (kind, outcome, reason): (&str, &str, &str),
) {
    let mut about = about(lease, sent);
    about["reason"] = json!(reason);
    row(&mut h.log, "two", second, kind, outcome, about);
}

pub fn refreshed(h: &mut History, second: i64, generation: u32) {
    let scopes = Vec::new();
    happens(h, second, Event::Refreshed { family: 2, generation, issued: generation + 1, scopes });
}

pub fn reused(h: &mut History, second: i64, generation: u32) {
    happens(h, second, Event::ReuseDetected { family: 2, generation });
    happens(h, second, Event::Revoked { family: 2, kind: RevokedKind::Reuse });
}

pub fn lost(h: &mut History, second: i64, generation: u32) {
    happens(h, second, Event::ReplyLost { family: 2, generation });
}

/// A process of which there is the stream `six`.
pub fn sixth(h: &mut History, until: i64, killed: bool) {
    row(&mut h.log, "six", 98, "stream.opened", "allowed", json!({}));
    h.faults.lives.push(Life { from: at(97), listening: at(98), until: Some(at(until)), killed });
}

/// The token of Ben's first generation is answered at 101 s, whatever came of that; it comes again at 131 s, and that is the end of it.
pub fn twice(first: First) -> History {
    let mut h = told();
    // His connection is not asked for in the end: it needs him.
    h.provider.pop();
    h.probes[1].presented = None;
    h.connections.get_mut("con_b").expect("a connection").state = "reauth_required".to_owned();
    first(&mut h);
    intent(&mut h, "two", 130, SECOND, 1);
    settled(&mut h, 132, SECOND, 1, LATCHED);
    h
}

/// The same, where what comes at 130 s and after comes so many seconds later.
pub fn twice_later(by: i64, first: First) -> History {
    let mut h = twice(first);
    for happened in h.provider.iter_mut().filter(|happened| happened.at >= at(130)) {
        happened.at += by * 1_000_000;
    }
    for row in &mut h.log {
        let time = Timestamp::parse_rfc3339(row.text("/time")).expect("a time").micros();
        if time >= at(130) {
            row.body["time"] = json!(Timestamp::from_micros(time + by * 1_000_000).rfc3339());
        }
    }
    h
}

pub fn once_more(h: &mut History) {
    refreshed(h, 101, 1);
    reused(h, 131, 1);
}
