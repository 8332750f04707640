//! A plain seal: chained and MACed, with bodies a test can read.

use super::samples;
use crate::{
    domain::{Applied, Group, Outcome, Reason, RowKey, Rule, Tagged, Timestamp, ledger::Head},
    storage::{AuditColumns, AuditRow, Seal},
};
use ring::digest;

/// Tags and chains with fixed keys.
pub(crate) struct PlainSeal {
    pub(crate) key: RowKey,
}

impl Default for PlainSeal {
    fn default() -> Self {
        Self { key: RowKey::new(&[("row-1".to_owned(), [7; 32])]) }
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, &parts.concat()).as_ref());
    hash
}

impl Seal for PlainSeal {
    fn rows(&self, head: &Head, groups: &[Group], applied: &[Vec<Applied>]) -> Vec<AuditRow> {
        let entries = groups.iter().flat_map(|g| &g.entries).zip(applied.iter().flatten());
        let mut previous = head.hash;
        let mut rows = Vec::new();
        for ((entry, applied), seq) in entries.zip(head.seq + 1..) {
            let body = format!("{:?} {applied:?}", entry.draft.id).into_bytes();
            let hash = sha256(&[&previous, &body]);
            let draft = &entry.draft;
            let outcome = if *applied == Applied::Yes { draft.outcome } else { Outcome::Denied };
            rows.push(AuditRow {
                stream: head.stream.clone(),
                seq,
                previous_hash: previous,
                hash,
                mac_key: "audit-1".to_owned(),
                mac: sha256(&[b"mac", &hash]),
                body,
                columns: AuditColumns {
                    id: draft.id.clone(),
                    time: Timestamp::from_micros(samples::NOW.micros() + seq),
                    tenant: draft.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
                    subject: String::new(),
                    workload: draft.workload.as_ref().map(ToString::to_string).unwrap_or_default(),
                    provider: draft.provider.as_ref().map(ToString::to_string).unwrap_or_default(),
                    kind: draft.kind.as_str().to_owned(),
                    outcome: outcome.as_str().to_owned(),
                    reason: draft.reason.map(Reason::as_str).unwrap_or_default().to_owned(),
                },
            });
            previous = hash;
        }
        rows
    }

    fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>) {
        let last = rows.last().expect("a batch with entries has rows");
        let mac = sha256(&[b"head", &last.hash]).to_vec();
        (Head { stream: last.stream.clone(), seq: last.seq, hash: last.hash }, mac)
    }

    fn rule(&self, rule: Rule) -> Tagged<Rule> {
        self.key.tag(rule)
    }

    fn check_rules(&self, rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>> {
        rules.into_iter().map(|rule| rule.check(&self.key).ok()).collect()
    }
}
