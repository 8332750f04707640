//! Applies one group inside a commit: all of its claims and writes, or none.

use super::{error::unavailable, requests, rules, writes};
use crate::{
    domain::{Applied, Group, Rule, Timestamp, Write},
    storage::{Seal, StoreError, rule_window::RuleWindow},
};
use sqlx::PgConnection;

/// What a group is applied to.
pub(super) struct Context<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) window: &'a mut RuleWindow,
    pub(super) seal: &'a dyn Seal,
    pub(super) now: Timestamp,
}

/// An entry that could not be applied.
struct Culprit {
    entry: usize,
    why: Applied,
}

/// Says per entry what became of it. A group without claim and effect costs no statement.
pub(super) async fn apply(context: &mut Context<'_>, group: &Group) -> Result<Vec<Applied>, StoreError> {
    let hits: Vec<Option<Rule>> = group.entries.iter().map(|e| context.window.hit(e).cloned()).collect();
    if hits.iter().any(Option::is_some) {
        return Ok(hits.into_iter().map(|hit| hit.map_or(Applied::GroupFailed, Applied::Hit)).collect());
    }
    let steps: usize = group.entries.iter().map(|e| e.effect.len() + usize::from(e.claim.is_some())).sum();
    let collides = group.entries.iter().flat_map(|e| &e.effect).any(writes::may_collide);
    // A single statement is all or nothing by itself, unless it fails.
    let guarded = steps > 1 || collides;
    if guarded {
        execute(context.connection, "SAVEPOINT one_group").await?;
    }
    let mut made = Vec::new();
    let culprit = run(context, group, &mut made).await?;
    if guarded {
        let end = match culprit {
            None => "RELEASE SAVEPOINT one_group",
            Some(_) => "ROLLBACK TO SAVEPOINT one_group; RELEASE SAVEPOINT one_group",
        };
        execute(context.connection, end).await?;
    }
    let mut applied = vec![Applied::Yes; group.entries.len()];
    match culprit {
        None => context.window.extend(made),
        Some(culprit) => {
            applied.fill(Applied::GroupFailed);
            applied[culprit.entry] = culprit.why;
        }
    }
    Ok(applied)
}

/// Claims first, then effects, until one does not apply.
async fn run(
    context: &mut Context<'_>,
    group: &Group,
    made: &mut Vec<Rule>,
) -> Result<Option<Culprit>, StoreError> {
    for (entry, claim) in group.entries.iter().enumerate().filter_map(|(n, e)| Some((n, e.claim.as_ref()?))) {
        if let Some(holder) = requests::take(context.connection, claim).await? {
            return Ok(Some(Culprit { entry, why: Applied::Duplicate(Box::new(holder)) }));
        }
    }
    for (number, entry) in group.entries.iter().enumerate() {
        for (index, write) in entry.effect.iter().enumerate() {
            let applied = match write {
                Write::AddRule { kind, target } => {
                    let epoch = made.last().map_or(context.window.last(), |rule: &Rule| rule.epoch) + 1;
                    let rule = Rule { epoch, kind: *kind, target: target.clone(), at: context.now };
                    made.push(rule.clone());
                    rules::append(context.connection, &context.seal.rule(rule)).await?;
                    true
                }
                write => writes::apply(context.connection, write).await?,
            };
            if !applied {
                return Ok(Some(Culprit { entry: number, why: Applied::NotApplied(index) }));
            }
        }
    }
    Ok(None)
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(sql).execute(connection).await.map_err(unavailable)?;
    Ok(())
}
