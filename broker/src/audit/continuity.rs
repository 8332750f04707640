//! Before anything is written: the newest stream is whole, and every rule it says was made is still there.
//!
//! A rule's own MAC tells that it was edited, and a gap that one before the last is gone. That the last ones are gone only
//! somebody else can tell: the log, whose events count the rules that were made with them.

use super::{
    chain::{GENESIS, StreamState, event_hash},
    log::AuditError,
    recorded::Recorded,
};
use crate::{
    keys::AuditKeys,
    storage::{AuditLog, AuditRow, Ledger, StreamRow},
};

/// Rows read at once.
const PAGE: u32 = 500;

/// How many rules an event says were made with it.
pub(super) const RULES_ADDED: &str = "rules_added";
/// That the stream is a command's, and makes no rules.
pub(super) const PASSING: &str = "passing";
/// How many rules there were when a stream was opened.
pub(super) const RULES_BEFORE: &str = "rules_before";

/// Checks the newest stream of a broker that has events: its head, its chain, and the number of rules it speaks of.
///
/// # Errors
/// [`AuditError::StreamTampered`] when it is not as it was written, or was written with other keys;
/// [`AuditError::RulesMissing`] when there are fewer rules than it says.
pub async fn check_continuity(
    ledger: &dyn Ledger,
    log: &dyn AuditLog,
    keys: &AuditKeys,
) -> Result<(), AuditError> {
    let streams = ledger.streams().await?;
    let mut newest = None;
    for stream in streams.iter().rev().filter(|stream| stream.head.seq > 0) {
        if !is_of_a_command(stream, log, keys).await? {
            newest = Some(stream);
            break;
        }
    }
    let Some(newest) = newest else { return Ok(()) };
    let tampered = || AuditError::StreamTampered(newest.head.stream.clone());
    let state = StreamState::vouched(keys, &newest.head, &newest.mac).ok_or_else(tampered)?;
    let grows = state == StreamState::Open;
    let recorded = count_rules(newest, grows, log, keys).await?.ok_or_else(tampered)?;
    let rules = ledger.rules_since(0).await?;
    let found = i64::try_from(rules.len()).unwrap_or(i64::MAX);
    if found < recorded { Err(AuditError::RulesMissing { recorded, found }) } else { Ok(()) }
}

/// Whether a stream is that of a command, which writes a few events and no rule beside a broker that may have made rules since.
async fn is_of_a_command(
    stream: &StreamRow,
    log: &dyn AuditLog,
    keys: &AuditKeys,
) -> Result<bool, AuditError> {
    let first = log.scan(&stream.head.stream, 0, 1).await?;
    let sound = first.first().filter(|row| added(keys, row, 0, &GENESIS).is_some());
    let recorded = sound.and_then(|row| Recorded::read(&row.body));
    Ok(recorded.is_some_and(|event| event.detail.get(PASSING) == Some(&serde_json::Value::Bool(true))))
}

/// The rules there are by the events of a stream; `None` when one of them is not as it was written. Another replica's stream that
/// `grows` may have more events by now than its head said: those are not looked at.
async fn count_rules(
    stream: &StreamRow,
    grows: bool,
    log: &dyn AuditLog,
    keys: &AuditKeys,
) -> Result<Option<i64>, AuditError> {
    let (mut seq, mut hash, mut rules) = (0, GENESIS, 0);
    loop {
        let page = log.scan(&stream.head.stream, seq, PAGE).await?;
        for row in &page {
            if grows && seq == stream.head.seq && hash == stream.head.hash {
                return Ok(Some(rules));
            }
            let Some(added) = added(keys, row, seq, &hash) else { return Ok(None) };
            (seq, hash, rules) = (row.seq, row.hash, rules + added);
        }
        if page.len() < PAGE as usize {
            let whole = seq == stream.head.seq && hash == stream.head.hash;
            return Ok(whole.then_some(rules));
        }
    }
}

fn added(keys: &AuditKeys, row: &AuditRow, after: i64, previous: &[u8; 32]) -> Option<i64> {
    let sound = row.seq == after + 1
        && row.previous_hash == *previous
        && row.hash == event_hash(previous, &row.body)
        && keys.verify(&row.mac_key, &row.hash, &row.mac);
    let recorded = Recorded::read(&row.body).filter(|_| sound)?;
    let number = |name| recorded.detail.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
    Some(number(RULES_BEFORE) + number(RULES_ADDED))
}
