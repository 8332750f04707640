//! The ledger's one transaction (design §6): head, rules, claims, effects, rows, head.

use super::{SqliteStore, audit_rows, error::unavailable, groups, rules, writer::WriteTransaction};
use crate::{
    domain::{ConnectionId, Group, Timestamp, ledger::Head},
    storage::{
        Committed, Seal, StoreError,
        ending::{Ending, seal_batch},
        recently_used::{LAST_USED_EXACT_TO, RecentlyUsed},
        rule_window::RuleWindow,
    },
};
use sqlx::SqliteConnection;
use std::sync::Arc;

const MARK_USED: &str = "\
UPDATE connections SET last_used_at = ?1
WHERE id IN (SELECT value FROM json_each(?2)) AND (last_used_at IS NULL OR last_used_at <= ?3)";

/// Commits a batch. Dropped before the rows are made, nothing stays; dropped later, the commit runs to its end.
pub(super) async fn commit(
    store: &SqliteStore,
    head: &Head,
    known_epoch: i64,
    batch: &[Group],
    now: Timestamp,
    seal: &dyn Seal,
) -> Result<Committed, StoreError> {
    let mut transaction = store.writer.begin().await?;
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
    let (changed, recently, to) =
        (store.changed.clone(), Arc::clone(&store.recently_used), committed.head.clone());
    let finish = tokio::spawn(async move {
        let now = ending.now;
        let done = finish(transaction, ending, &to).await?;
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
    connection: &mut SqliteConnection,
    head: &Head,
    known_epoch: i64,
    batch: &[Group],
    now: Timestamp,
    (seal, recently): (&dyn Seal, &RecentlyUsed),
) -> Result<(Committed, Ending), StoreError> {
    audit_rows::check_head(connection, head).await?;
    let from = RuleWindow::from(batch, known_epoch);
    let tagged = rules::since(&mut *connection, from).await?;
    let mut window = RuleWindow::checked(tagged, from, known_epoch, seal)?;
    let mut applied = Vec::with_capacity(batch.len());
    for group in batch {
        let mut context = groups::Context { connection: &mut *connection, window: &mut window, seal, now };
        applied.push(groups::apply(&mut context, group).await?);
    }
    seal_batch(head, batch, applied, window, recently, now, seal)
}

async fn finish(mut transaction: WriteTransaction, ending: Ending, to: &Head) -> Result<Ending, StoreError> {
    let written = match transaction.connection() {
        Ok(connection) => write_ending(connection, &ending, to).await,
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
    connection: &mut SqliteConnection,
    ending: &Ending,
    to: &Head,
) -> Result<(), StoreError> {
    if ending.rows.is_empty() {
        return audit_rows::beat(connection, &ending.from, ending.now).await;
    }
    if !ending.used.is_empty() {
        let ids = serde_json::Value::from_iter(ending.used.iter().map(ConnectionId::as_str));
        sqlx::query(MARK_USED)
            .bind(ending.now.micros())
            .bind(ids.to_string())
            .bind(ending.now.minus(LAST_USED_EXACT_TO).micros())
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
    }
    audit_rows::insert(connection, &ending.rows).await?;
    audit_rows::advance(connection, &ending.from, to, &ending.mac, ending.now).await
}
