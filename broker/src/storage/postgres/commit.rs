//! The ledger's one transaction (design §6): lock, rules, claims, effects, then head and rows.
//!
//! Messages to the server for a batch that only issues: begin and lock, rules, claims if there are any, one-time assertions if there
//! are any, head and rows, commit. Four to six, however many groups; each new consent, effect or duplicate adds its own.

use super::{
    PostgresStore, audit_rows, claims, connect::PATIENCE, error::unavailable, groups, rules,
    transaction::Transaction, writes,
};
use crate::{
    domain::{ConsentId, Group, Timestamp, ledger::Head},
    storage::{
        Committed, LockMode, Seal, StoreError,
        ending::{Ending, seal_batch},
        recently_used::RecentlyUsed,
        rule_window::RuleWindow,
    },
};
use sqlx::PgConnection;
use std::sync::Arc;

/// Delivered with the commit, to every replica that listens.
const NOTIFY: &str = "SELECT pg_notify('broker_consents', $1 || ' ' || id) FROM unnest($2::TEXT[]) AS id";

/// Commits a batch. Dropped before the rows are made, nothing stays; dropped later, the commit runs to its end.
pub(super) async fn commit(
    store: &PostgresStore,
    head: &Head,
    known_epoch: i64,
    batch: &[Group],
    lock: LockMode,
    now: Timestamp,
    seal: &dyn Seal,
) -> Result<Committed, StoreError> {
    let mut transaction = Transaction::begin(store, lock).await?;
    let prepared = match transaction.connection() {
        Ok(connection) => {
            prepare(connection, head, known_epoch, batch, now, (seal, &store.recently_used)).await
        }
        Err(error) => Err(error),
    };
    let (committed, ending) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            transaction.rollback().await;
            return Err(error);
        }
    };
    let (changed, recently) = (store.changed.clone(), Arc::clone(&store.recently_used));
    let (name, to) = (store.name.clone(), committed.head.clone());
    // Nobody else bounds it: on a connection that is lost without a word it would keep this process's turn for ever.
    let finish = tokio::spawn(async move {
        let now = ending.now;
        let finished = tokio::time::timeout(PATIENCE, finish(transaction, ending, &name, &to)).await;
        let late = |_| Err(StoreError::Unavailable("the server does not answer".to_owned()));
        let done = finished.unwrap_or_else(late)?;
        recently.marked(done.used, now);
        for consent in done.changed {
            // Nobody listening is fine.
            let _ = changed.send(consent);
        }
        Ok(())
    });
    match finish.await {
        Ok(result) => result.map(|()| committed),
        Err(_) => Err(StoreError::Unavailable("the commit was cut short".to_owned())),
    }
}

async fn prepare(
    connection: &mut PgConnection,
    head: &Head,
    known_epoch: i64,
    batch: &[Group],
    now: Timestamp,
    (seal, recently): (&dyn Seal, &RecentlyUsed),
) -> Result<(Committed, Ending), StoreError> {
    let from = RuleWindow::from(batch, known_epoch);
    let tagged = rules::since(&mut *connection, from).await?;
    let mut window = RuleWindow::checked(tagged, from, known_epoch, seal)?;
    writes::lock_needs(connection, batch).await?;
    let mut settled = claims::take(connection, batch, &window).await?;
    let mut applied = Vec::with_capacity(batch.len());
    for (place, group) in batch.iter().enumerate() {
        if let Some(settled) = settled.remove(&place) {
            applied.push(settled);
            continue;
        }
        let mut context = groups::Context { connection: &mut *connection, window: &mut window, seal, now };
        applied.push(groups::apply(&mut context, group).await?);
    }
    seal_batch(head, batch, applied, window, recently, now, seal)
}

async fn finish(
    mut transaction: Transaction,
    ending: Ending,
    name: &str,
    to: &Head,
) -> Result<Ending, StoreError> {
    let written = match transaction.connection() {
        Ok(connection) => write_ending(connection, &ending, name, to).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => transaction.commit().await.map(|()| ending),
        Err(error) => {
            transaction.rollback().await;
            Err(error)
        }
    }
}

async fn write_ending(
    connection: &mut PgConnection,
    ending: &Ending,
    name: &str,
    to: &Head,
) -> Result<(), StoreError> {
    if ending.rows.is_empty() {
        return audit_rows::beat(connection, &ending.from).await;
    }
    audit_rows::append(connection, ending, to).await?;
    if !ending.changed.is_empty() {
        let ids: Vec<&str> = ending.changed.iter().map(ConsentId::as_str).collect();
        sqlx::query(NOTIFY).bind(name).bind(ids).execute(connection).await.map_err(unavailable)?;
    }
    Ok(())
}
