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
/// How many rules there were when a stream was opened.
pub(super) const RULES_BEFORE: &str = "rules_before";

/// Checks the newest stream that has events: its head, its chain, and the number of rules it speaks of.
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
    let Some(newest) = streams.iter().rev().find(|stream| stream.head.seq > 0) else { return Ok(()) };
    let tampered = || AuditError::StreamTampered(newest.head.stream.clone());
    let state = StreamState::vouched(keys, &newest.head, &newest.mac).ok_or_else(tampered)?;
    let grows = state == StreamState::Open;
    let recorded = count_rules(newest, grows, log, keys).await?.ok_or_else(tampered)?;
    let rules = ledger.rules_since(0).await?;
    let found = i64::try_from(rules.len()).unwrap_or(i64::MAX);
    if found < recorded { Err(AuditError::RulesMissing { recorded, found }) } else { Ok(()) }
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
