//! Writing audit rows and heads.

use super::error::{is_there, unavailable};
use crate::{
    domain::{Timestamp, ledger::Head},
    storage::{AuditRow, StoreError},
};
use sqlx::{Row, SqliteConnection};

macro_rules! one_row {
    () => {
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}

macro_rules! four_rows {
    ($row:ident) => {
        concat!($row!(), ",", $row!(), ",", $row!(), ",", $row!())
    };
}

macro_rules! rows_4 {
    () => {
        four_rows!(one_row)
    };
}

macro_rules! rows_16 {
    () => {
        four_rows!(rows_4)
    };
}

macro_rules! rows_64 {
    () => {
        four_rows!(rows_16)
    };
}

macro_rules! insert {
    ($rows:ident) => {
        concat!(
            "INSERT INTO audit_events (stream, seq, previous_hash, hash, mac_key, mac, body, ",
            "id, time, tenant, subject, workload, provider, kind, outcome, reason) VALUES ",
            $rows!()
        )
    };
}

/// Statements by how many rows they insert, largest first: four texts, prepared once, serve every batch.
const INSERTS: [(usize, &str); 4] =
    [(64, insert!(rows_64)), (16, insert!(rows_16)), (4, insert!(rows_4)), (1, insert!(one_row))];

const ADVANCE: &str = "\
UPDATE audit_streams SET seq = ?1, hash = ?2, mac = ?3, heartbeat_at = max(heartbeat_at, ?4)
WHERE stream = ?5 AND seq = ?6 AND hash = ?7 AND open = 1";

const BEAT: &str = "\
UPDATE audit_streams SET heartbeat_at = max(heartbeat_at, ?1)
WHERE stream = ?2 AND seq = ?3 AND hash = ?4 AND open = 1";

/// Inserts rows, in order; `Exists` when an event with one of their ids is there, so that its group fails alone.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    mut rows: &[AuditRow],
) -> Result<(), StoreError> {
    for (size, sql) in INSERTS {
        while rows.len() >= size {
            let (chunk, rest) = rows.split_at(size);
            insert_chunk(connection, sql, chunk).await?;
            rows = rest;
        }
    }
    Ok(())
}

async fn insert_chunk(
    connection: &mut SqliteConnection,
    sql: &'static str,
    rows: &[AuditRow],
) -> Result<(), StoreError> {
    let mut query = sqlx::query(sql);
    for row in rows {
        let columns = &row.columns;
        query = query
            .bind(row.stream.as_str())
            .bind(row.seq)
            .bind(&row.previous_hash[..])
            .bind(&row.hash[..])
            .bind(row.mac_key.as_str())
            .bind(&row.mac[..])
            .bind(&row.body[..])
            .bind(columns.id.as_str())
            .bind(columns.time.micros())
            .bind(columns.tenant.as_str())
            .bind(columns.subject.as_str())
            .bind(columns.workload.as_str())
            .bind(columns.provider.as_str())
            .bind(columns.kind.as_str())
            .bind(columns.outcome.as_str())
            .bind(columns.reason.as_str());
    }
    match query.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) if is_there(&error) => Err(StoreError::Exists),
        Err(error) => Err(unavailable(error)),
    }
}

/// Refuses when the stream's head is not `head` or its writer may not append (AU8).
pub(super) async fn check_head(connection: &mut SqliteConnection, head: &Head) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT count(*) AS n FROM audit_streams WHERE stream = ? AND seq = ? AND hash = ? AND open = 1",
    )
    .bind(head.stream.as_str())
    .bind(head.seq)
    .bind(&head.hash[..])
    .fetch_one(connection)
    .await
    .map_err(unavailable)?;
    let found: i64 = row.try_get("n").map_err(unavailable)?;
    if found == 1 { Ok(()) } else { Err(StoreError::HeadMoved) }
}

/// Moves the head from `from` to `to` by compare-and-set.
pub(super) async fn advance(
    connection: &mut SqliteConnection,
    from: &Head,
    to: &Head,
    mac: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let done = sqlx::query(ADVANCE)
        .bind(to.seq)
        .bind(&to.hash[..])
        .bind(mac)
        .bind(now.micros())
        .bind(from.stream.as_str())
        .bind(from.seq)
        .bind(&from.hash[..])
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::HeadMoved) }
}

/// A sign of life without an event.
pub(super) async fn beat(
    connection: &mut SqliteConnection,
    head: &Head,
    now: Timestamp,
) -> Result<(), StoreError> {
    let done = sqlx::query(BEAT)
        .bind(now.micros())
        .bind(head.stream.as_str())
        .bind(head.seq)
        .bind(&head.hash[..])
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::HeadMoved) }
}
