//! Revocation rules: read as a gapless delta, appended with the next epoch.

use super::{error::unavailable, rows::Cells};
use crate::{
    domain::{Entry, Group, Names, Rule, RuleKind, Tagged, Target},
    storage::{Seal, StoreError},
};
use sqlx::{SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

/// Every rule newer than `epoch`, in order. A gap, or a missing rule at `epoch` itself, means that rows were removed:
/// no row MAC tells that.
pub(super) async fn since(
    executor: impl SqliteExecutor<'_>,
    epoch: i64,
) -> Result<Vec<Tagged<Rule>>, StoreError> {
    let rows = sqlx::query("SELECT * FROM revocations WHERE epoch >= ? ORDER BY epoch")
        .bind(epoch)
        .fetch_all(executor)
        .await
        .map_err(unavailable)?;
    let rules = rows.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    let first = epoch.max(1);
    let gapless = rules.iter().zip(first..).all(|(rule, expected)| rule.stored_parts().0.epoch == expected);
    if !gapless || (epoch > 0 && rules.is_empty()) {
        return Err(StoreError::RuleTampered);
    }
    Ok(rules.into_iter().filter(|rule| rule.stored_parts().0.epoch > epoch).collect())
}

/// Appends a rule. Its epoch must be the next one; a trigger refuses any other.
pub(super) async fn append(connection: &mut SqliteConnection, rule: &Tagged<Rule>) -> Result<(), StoreError> {
    let (rule, mac) = rule.stored_parts();
    let (tenant, realm) = rule.target.place();
    sqlx::query(
        "INSERT INTO revocations (epoch, kind, target_kind, target_name, target_tenant, target_realm, at, mac) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(rule.epoch)
    .bind(rule.kind.as_str())
    .bind(rule.target.kind())
    .bind(rule.target.name())
    .bind(tenant)
    .bind(realm)
    .bind(rule.at.micros())
    .bind(mac.to_bytes())
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

fn rule(row: &SqliteRow) -> Result<Tagged<Rule>, StoreError> {
    let cells = Cells::new(row, "revocations");
    let target = Target::from_stored(
        &cells.text("target_kind")?,
        &cells.text("target_name")?,
        &cells.text("target_tenant")?,
        &cells.text("target_realm")?,
    );
    cells.tagged(Rule {
        epoch: cells.number("epoch")?,
        kind: cells.word("kind", RuleKind::parse)?,
        target: target.ok_or_else(|| cells.malformed("target_name"))?,
        at: cells.time("at")?,
    })
}

/// The checked rules one commit looks at: everything an entry may not have seen yet, and what the batch itself adds.
pub(super) struct RuleWindow {
    rules: Vec<Rule>,
    last: i64,
    known: i64,
}

impl RuleWindow {
    /// Reads back to the oldest epoch an entry of `batch` was decided at.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        batch: &[Group],
        known_epoch: i64,
        seal: &dyn Seal,
    ) -> Result<Self, StoreError> {
        let entries = batch.iter().flat_map(|group| &group.entries).filter(|entry| may_be_hit(entry));
        let from = entries.map(|entry| entry.epoch).fold(known_epoch, i64::min).max(0);
        let tagged = since(connection, from).await?;
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
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// The first rule newer than the entry's epoch that takes away something it relies on. A lift takes nothing away.
    pub(super) fn hit(&self, entry: &Entry) -> Option<&Rule> {
        if !may_be_hit(entry) {
            return None;
        }
        self.rules.iter().find(|rule| {
            rule.epoch > entry.epoch && rule.kind != RuleKind::Lift && entry.names.include(&rule.target)
        })
    }

    /// Adds rules of a group that was applied: they hit the groups after it.
    pub(super) fn extend(&mut self, made: Vec<Rule>) {
        self.last = made.last().map_or(self.last, |rule| rule.epoch);
        self.rules.extend(made);
    }

    /// What the writer did not know yet.
    pub(super) fn into_new(self) -> Vec<Rule> {
        let known = self.known;
        self.rules.into_iter().filter(|rule| rule.epoch > known).collect()
    }
}

fn may_be_hit(entry: &Entry) -> bool {
    !entry.settlement && entry.names != Names::default()
}
