//! The pure part of a commit: numbers, encodes, chains and MACs the rows of one batch.

use super::{
    body::{self, Place},
    chain::{StreamState, event_hash, head_mac},
    continuity::RULES_ADDED,
    prepare::Prepared,
    refused::hit_reason,
};
use crate::{
    domain::{
        Applied, Entry, EventDraft, Group, Outcome, Reason, RowKey, Rule, ScopeSet, Tagged, Timestamp, Write,
        ledger::Head,
    },
    keys::AuditKeys,
    storage::{AuditColumns, AuditRow, Seal},
};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

/// What a batch was about to become; settles a commit whose acknowledgement was lost.
#[derive(Clone, Debug)]
pub(super) struct Intended {
    pub(super) applied: Vec<Vec<Applied>>,
    pub(super) head: Head,
}

/// Seals one batch.
pub(super) struct BatchSeal<'a> {
    pub(super) audit: &'a AuditKeys,
    pub(super) rows: &'a RowKey,
    pub(super) now: Timestamp,
    pub(super) prepared: &'a [Vec<Prepared>],
    intended: Mutex<Option<Intended>>,
}

impl<'a> BatchSeal<'a> {
    pub(super) fn new(
        audit: &'a AuditKeys,
        rows: &'a RowKey,
        now: Timestamp,
        prepared: &'a [Vec<Prepared>],
    ) -> Self {
        Self { audit, rows, now, prepared, intended: Mutex::new(None) }
    }

    pub(super) fn into_intended(self) -> Option<Intended> {
        self.intended.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, head: &Head, entry: &Entry, applied: &Applied, prepared: &Prepared) -> AuditRow {
        let mut draft = truth(entry, applied);
        if *applied == Applied::Yes
            && let Some(rules) = rules_of(entry)
        {
            draft.to_mut().detail.insert(RULES_ADDED, rules.into());
        }
        let place = Place {
            stream: &head.stream,
            seq: head.seq + 1,
            time: self.now,
            subject: &prepared.subject,
            personal: prepared.personal.as_ref(),
        };
        let body = body::encode(&draft, &place);
        let hash = event_hash(&head.hash, &body);
        AuditRow {
            stream: head.stream.clone(),
            seq: place.seq,
            previous_hash: head.hash,
            hash,
            mac_key: self.audit.current().to_owned(),
            mac: self.audit.sign(&hash),
            body,
            columns: columns(&draft, &place),
        }
    }
}

impl Seal for BatchSeal<'_> {
    fn rows(&self, head: &Head, groups: &[Group], applied: &[Vec<Applied>]) -> Vec<AuditRow> {
        let mut head = head.clone();
        let mut rows = Vec::with_capacity(groups.iter().map(|g| g.entries.len()).sum());
        for ((group, applied), prepared) in groups.iter().zip(applied).zip(self.prepared) {
            assert!(group.entries.len() == applied.len() && applied.len() == prepared.len(), "one each");
            for ((entry, applied), prepared) in group.entries.iter().zip(applied).zip(prepared) {
                let row = self.row(&head, entry, applied, prepared);
                head.seq = row.seq;
                head.hash = row.hash;
                rows.push(row);
            }
        }
        *self.intended.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Intended { applied: applied.to_vec(), head });
        rows
    }

    fn head(&self, rows: &[AuditRow]) -> (Head, Vec<u8>) {
        let last = rows.last().expect("a batch has at least one entry");
        let head = Head { stream: last.stream.clone(), seq: last.seq, hash: last.hash };
        let mac = head_mac(self.audit, &head, StreamState::Open);
        (head, mac)
    }

    fn rule(&self, rule: Rule) -> Tagged<Rule> {
        self.rows.tag(rule)
    }

    fn check_rules(&self, rules: Vec<Tagged<Rule>>) -> Option<Vec<Rule>> {
        rules.into_iter().map(|rule| rule.check(self.rows).ok()).collect()
    }
}

/// How many rules are made with an entry, if any.
fn rules_of(entry: &Entry) -> Option<usize> {
    let rules = entry.effect.iter().filter(|write| matches!(write, Write::AddRule { .. })).count();
    (rules > 0).then_some(rules)
}

/// The draft as it really went: what did not happen is never written as if it had.
pub(super) fn truth<'a>(entry: &'a Entry, applied: &Applied) -> Cow<'a, EventDraft> {
    let draft = &entry.draft;
    let (outcome, reason, name, value): (_, _, _, serde_json::Value) = match applied {
        Applied::Yes => return Cow::Borrowed(draft),
        Applied::Hit(rule) => (Outcome::Denied, hit_reason(rule), "rule_epoch", rule.epoch.into()),
        Applied::Duplicate(claim) => {
            (Outcome::Denied, Reason::Conflict, "request_id_taken_by", claim.grant.as_str().into())
        }
        Applied::NotApplied(write) if entry.replays(*write) => {
            (Outcome::Denied, Reason::AssertionReplayed, "write_not_applied", (*write).into())
        }
        Applied::NotApplied(write) => {
            (Outcome::Failed, Reason::Conflict, "write_not_applied", (*write).into())
        }
        Applied::GroupFailed => (Outcome::Failed, Reason::Conflict, "group_failed", true.into()),
    };
    let mut draft = draft.clone();
    draft.detail.insert(name, value);
    draft.outcome = outcome;
    draft.reason = Some(reason);
    draft.scopes_granted = ScopeSet::default();
    draft.ttl_seconds = None;
    draft.expires_at = None;
    Cow::Owned(draft)
}

fn columns(draft: &EventDraft, place: &Place<'_>) -> AuditColumns {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    AuditColumns {
        id: draft.id.clone(),
        time: place.time,
        tenant: text(draft.tenant.as_ref().map(|t| t.as_str())),
        subject: place.subject.to_owned(),
        workload: text(draft.workload.as_ref().map(|w| w.as_str())),
        provider: text(draft.provider.as_ref().map(|p| p.as_str())),
        kind: draft.kind.as_str().to_owned(),
        outcome: draft.outcome.as_str().to_owned(),
        reason: text(draft.reason.map(Reason::as_str)),
    }
}
