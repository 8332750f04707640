//! The rules one commit looks at, and whom they hit.

use super::{Seal, StoreError};
use crate::domain::{Entry, Group, Names, Rule, RuleKind, Tagged};

/// The checked rules one commit looks at: everything an entry may not have seen yet, and what the batch itself adds.
pub(in crate::storage) struct RuleWindow {
    rules: Vec<Rule>,
    last: i64,
    known: i64,
}

impl RuleWindow {
    /// The epoch to read rules from: the oldest an entry of `batch` was decided at, or what the writer knows.
    pub(in crate::storage) fn from(batch: &[Group], known_epoch: i64) -> i64 {
        let entries = batch.iter().flat_map(|group| &group.entries).filter(|entry| may_be_hit(entry));
        entries.map(|entry| entry.epoch).fold(known_epoch, i64::min).max(0)
    }

    /// Checks the rules newer than `from`.
    ///
    /// # Errors
    /// [`StoreError::RuleTampered`].
    pub(in crate::storage) fn checked(
        tagged: Vec<Tagged<Rule>>,
        from: i64,
        known_epoch: i64,
        seal: &dyn Seal,
    ) -> Result<Self, StoreError> {
        let expected = tagged.len();
        let rules = if tagged.is_empty() {
            Vec::new()
        } else {
            seal.check_rules(tagged).ok_or(StoreError::RuleTampered)?
        };
        let last = rules.last().map_or(from, |rule| rule.epoch);
        // Fewer rules than the writer knows: the table was cut or put back.
        if rules.len() != expected || last < known_epoch {
            return Err(StoreError::RuleTampered);
        }
        Ok(Self { rules, last, known: known_epoch })
    }

    /// The newest epoch, the batch's own rules included.
    pub(in crate::storage) fn last(&self) -> i64 {
        self.last
    }

    /// The first rule newer than the entry's epoch that takes away something it relies on. A lift takes nothing away.
    pub(in crate::storage) fn hit(&self, entry: &Entry) -> Option<&Rule> {
        if !may_be_hit(entry) {
            return None;
        }
        self.rules.iter().find(|rule| {
            rule.epoch > entry.epoch && rule.kind != RuleKind::Lift && entry.names.include(&rule.target)
        })
    }

    /// Adds rules of a group that was applied: they hit the groups after it.
    pub(in crate::storage) fn extend(&mut self, made: Vec<Rule>) {
        self.last = made.last().map_or(self.last, |rule| rule.epoch);
        self.rules.extend(made);
    }

    /// What the writer did not know yet.
    pub(in crate::storage) fn into_new(self) -> Vec<Rule> {
        let known = self.known;
        self.rules.into_iter().filter(|rule| rule.epoch > known).collect()
    }
}

fn may_be_hit(entry: &Entry) -> bool {
    !entry.settlement && entry.names != Names::default()
}
