//! Revocation rules, read from rows as a gapless delta.

use super::{Cells, Columns};
use crate::{
    domain::{Rule, RuleKind, Tagged, Target},
    storage::StoreError,
};

/// The rules newer than `epoch` out of the rows from `epoch` on, which are in order. A gap, or a missing rule at `epoch` itself,
/// means that rows were removed: no row MAC tells that.
pub(in crate::storage) fn newer_than<R: Columns>(
    rows: &[R],
    epoch: i64,
) -> Result<Vec<Tagged<Rule>>, StoreError> {
    let rules = rows.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    let first = epoch.max(1);
    let gapless = rules.iter().zip(first..).all(|(rule, expected)| rule.stored_parts().0.epoch == expected);
    if !gapless || (epoch > 0 && rules.is_empty()) {
        return Err(StoreError::RuleTampered);
    }
    Ok(rules.into_iter().filter(|rule| rule.stored_parts().0.epoch > epoch).collect())
}

fn rule<R: Columns>(row: &R) -> Result<Tagged<Rule>, StoreError> {
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
