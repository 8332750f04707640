//! Refreshes as the log has them: each is one lease of one connection, with the generation of the refresh token that it sends.

use std::collections::{BTreeMap, HashMap};

use super::History;
use super::faults::Written;
use super::recorded::Row;

/// One refresh.
#[derive(Clone, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) connection: &'a str,
    /// The epoch of its lease.
    pub(super) lease: i64,
    /// The generation of the token it sends, as the broker counts them.
    pub(super) sent: i64,
    /// Before the provider was called, if it was.
    pub(super) from: i64,
    /// After that.
    pub(super) settled: Option<Settled<'a>>,
    /// When its lease was first given back, in whatever words.
    pub(super) released: Option<i64>,
    /// The stream of whoever made it.
    pub(super) written: Written,
}

/// What its holder, or whoever found what it left, said of it in the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled<'a> {
    pub(super) at: i64,
    pub(super) how: How<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How<'a> {
    /// What came is stored.
    Stored,
    /// The provider refused the token.
    Refused,
    /// Nothing of use came, for this reason.
    Failed(&'a str),
}

impl Attempt<'_> {
    /// How it was settled by then.
    pub(super) fn settled_by(&self, at: i64) -> Option<How<'_>> {
        self.settled.filter(|settled| settled.at <= at).map(|settled| settled.how)
    }
}

/// All of them, in the order of their intents, and what is wrong with their rows.
pub(super) fn attempts(history: &History) -> (Vec<Attempt<'_>>, Vec<String>) {
    let streams = streams(history);
    let mut settled = HashMap::<(&str, i64), Settled<'_>>::new();
    let mut released = HashMap::<(&str, i64), i64>::new();
    for row in &history.log {
        let (Some(how), Some(key)) = (settlement(row), key(row)) else { continue };
        released.entry(key).and_modify(|at| *at = row.time().min(*at)).or_insert(row.time());
        let new = Settled { at: row.time(), how };
        let known = settled.entry(key).or_insert(new);
        // What is stored is stored, whatever else was said.
        let better = (new.how != How::Stored, new.at) < (known.how != How::Stored, known.at);
        *known = if better { new } else { *known };
    }
    let mut found = BTreeMap::new();
    let mut broken = Vec::new();
    for row in history.allowed("refresh.intent") {
        let (Some(key), Some(sent)) = (key(row), number(row, "/detail/sent")) else {
            broken.push(format!("{}: an intent names no token or no lease", row.text("/connection")));
            continue;
        };
        let attempt = Attempt {
            connection: key.0,
            lease: key.1,
            sent,
            from: row.time(),
            settled: settled.get(&key).copied(),
            released: released.get(&key).copied(),
            written: streams[row.stream.as_str()],
        };
        if found.insert(key, attempt).is_some() {
            broken.push(format!("{}: two intents under lease {}", key.0, key.1));
        }
    }
    let mut attempts: Vec<Attempt<'_>> = found.into_values().collect();
    attempts.sort_by_key(|attempt| attempt.from);
    (attempts, broken)
}

fn settlement(row: &Row) -> Option<How<'_>> {
    // A write that found the lease in other hands says so, and did nothing.
    if row.body.pointer("/detail/write_not_applied").is_some() {
        return None;
    }
    match row.kind.as_str() {
        "refresh.stored" => Some(How::Stored),
        "connection.reauth_required" => Some(How::Refused),
        "refresh.failed" => Some(How::Failed(&row.reason)),
        _ => None,
    }
}

/// The connection, and the epoch of the lease, which it has once.
fn key(row: &Row) -> Option<(&str, i64)> {
    Some((row.text("/connection"), number(row, "/detail/lease")?))
}

fn number(row: &Row, pointer: &str) -> Option<i64> {
    row.body.pointer(pointer)?.as_i64()
}

fn streams(history: &History) -> HashMap<&str, Written> {
    let mut streams = HashMap::<&str, Written>::new();
    for row in &history.log {
        let time = row.time();
        let stream = streams.entry(&row.stream).or_insert(Written { opened: time, last: time });
        (stream.opened, stream.last) = (stream.opened.min(time), stream.last.max(time));
    }
    streams
}
