//! The ledger's one transaction (design §6): head, rules, claims, effects, rows, head.

use super::{
    SqliteStore, audit_rows, error::unavailable, groups, rules::RuleWindow, writer::WriteTransaction,
};
use crate::{
    domain::{
        Applied, ConsentId, Entry, EventKind, Group, Outcome, Position, Timestamp, Write, ledger::Head,
    },
    storage::{AuditRow, Committed, Seal, StoreError},
};
use sqlx::SqliteConnection;
use std::{collections::BTreeSet, time::Duration};

/// How exact `last_used_at` is: a busy connection's row is written at most this often.
const LAST_USED_EXACT_TO: Duration = Duration::from_secs(60);

const MARK_USED: &str = "\
UPDATE connections SET last_used_at = ?1
WHERE id IN (SELECT value FROM json_each(?2)) AND (last_used_at IS NULL OR last_used_at <= ?3)";

/// What is still to be written once every effect is in. Owns all it needs, so that it runs to its end by itself.
struct Ending {
    from: Head,
    rows: Vec<AuditRow>,
    mac: Vec<u8>,
    used: BTreeSet<String>,
    changed: Vec<ConsentId>,
    now: Timestamp,
}

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
        Ok(connection) => prepare(connection, head, known_epoch, batch, now, seal).await,
        Err(error) => Err(error),
    };
    let (committed, ending) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            transaction.rollback().await;
            return Err(error);
        }
    };
    let (changed, to) = (store.changed.clone(), committed.head.clone());
    let finish = tokio::spawn(async move {
        let consents = finish(transaction, ending, &to).await?;
        for consent in consents {
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
    seal: &dyn Seal,
) -> Result<(Committed, Ending), StoreError> {
    audit_rows::check_head(connection, head).await?;
    let mut window = RuleWindow::read(connection, batch, known_epoch, seal).await?;
    let mut applied = Vec::with_capacity(batch.len());
    for group in batch {
        let mut context = groups::Context { connection: &mut *connection, window: &mut window, seal, now };
        applied.push(groups::apply(&mut context, group).await?);
    }
    let rows = if applied.iter().all(Vec::is_empty) { Vec::new() } else { seal.rows(head, batch, &applied) };
    let positions = positions(head, batch, &rows)?;
    let (new_head, mac) = if rows.is_empty() { (head.clone(), Vec::new()) } else { seal.head(&rows) };
    let done =
        || entries(batch).zip(applied.iter().flatten()).filter(|(_, a)| **a == Applied::Yes).map(|(e, _)| e);
    let ending = Ending {
        from: head.clone(),
        rows,
        mac,
        used: done().filter_map(used).collect(),
        changed: done().flat_map(|entry| &entry.effect).filter_map(changed).collect(),
        now,
    };
    Ok((Committed { applied, positions, head: new_head, new_rules: window.into_new() }, ending))
}

async fn finish(
    mut transaction: WriteTransaction,
    ending: Ending,
    to: &Head,
) -> Result<Vec<ConsentId>, StoreError> {
    let written = match transaction.connection() {
        Ok(connection) => write_ending(connection, &ending, to).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => transaction.commit().await.map(|()| ending.changed),
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
        let ids = serde_json::Value::from_iter(ending.used.iter().cloned());
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

/// Where every entry stands. One row per entry, numbered without a gap after the head, or nothing is written.
fn positions(head: &Head, batch: &[Group], rows: &[AuditRow]) -> Result<Vec<Vec<Position>>, StoreError> {
    let numbered =
        rows.iter().zip(head.seq + 1..).all(|(row, seq)| row.seq == seq && row.stream == head.stream);
    if !numbered || rows.len() != entries(batch).count() {
        return Err(StoreError::Malformed { table: "audit_events", column: "seq" });
    }
    let mut numbers = head.seq + 1..;
    let position = |seq| Position { stream: head.stream.clone(), seq };
    Ok(batch.iter().map(|group| numbers.by_ref().take(group.entries.len()).map(position).collect()).collect())
}

fn entries(batch: &[Group]) -> impl Iterator<Item = &Entry> {
    batch.iter().flat_map(|group| &group.entries)
}

/// The connection a grant was issued from.
fn used(entry: &Entry) -> Option<String> {
    let issued = entry.draft.kind == EventKind::GrantIssue && entry.draft.outcome == Outcome::Allowed;
    entry.draft.connection.as_ref().filter(|_| issued).map(ToString::to_string)
}

fn changed(write: &Write) -> Option<ConsentId> {
    match write {
        Write::InsertConsent { row, .. } | Write::UpdateConsent { row, .. } => {
            Some(row.stored_parts().0.id.clone())
        }
        Write::SetAsideConsent(row) => row.id(ConsentId::parse),
        _ => None,
    }
}
