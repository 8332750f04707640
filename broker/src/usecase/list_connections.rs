//! What connections there are: a workload's own view, a person's own, an administrator's.

use super::{Caller, Rooms};
use crate::{
    connection::{ends_at, own_approval, own_connections},
    domain::{
        Approval, Connection, ConnectionId, Owner, ProviderId, Reason, Refusal, SecretKind, StoredConnection,
        Subject, TenantId, Timestamp,
    },
    storage::Readable,
};

/// A connection as it may be shown: never any secret material.
#[derive(Debug)]
pub struct Listed {
    /// The checked row.
    pub connection: Connection,
    /// When it is over unless its person connects again, where that is known.
    pub ends_at: Option<Timestamp>,
    /// When a grant was last issued from it.
    pub last_used_at: Option<Timestamp>,
    /// The approvals the viewer may see.
    pub approvals: Vec<Approval>,
}

/// The connections of the assertion's subject on which the calling workload has an approval (GR12).
///
/// # Errors
/// The verifier's and the store's.
pub async fn of_workload(
    rooms: &Rooms,
    caller: &Caller,
    assertion: &str,
    provider: Option<&ProviderId>,
) -> Result<Vec<Listed>, Refusal> {
    let assertion = rooms.assertion(assertion, caller).await?;
    rooms.not_blocked(&caller.names(&assertion))?;
    let key = rooms.row_key();
    let rules = rooms.audit.rules();
    let own = own_connections(&rooms.store, &key, &rules, assertion.subject(), provider).await?;
    let mut listed = Vec::new();
    for (connection, _) in own.connections {
        if let Some(approval) = own_approval(&rooms.store, &key, &rules, &connection, caller.id()).await? {
            let ends_at = end_of(rooms, &connection).await?;
            listed.push(Listed { connection, ends_at, last_used_at: None, approvals: vec![approval] });
        }
    }
    Ok(listed)
}

/// A person's own connections, with every standing approval.
///
/// # Errors
/// The store's.
pub async fn of_subject(
    rooms: &Rooms,
    subject: &Subject,
    provider: Option<&ProviderId>,
) -> Result<Vec<Listed>, Refusal> {
    let stored = rooms.store.connections.of_owner(&Owner::Subject(subject.clone()), provider).await?;
    let mut listed = Vec::new();
    for stored in stored {
        if let Some(one) = list_one(rooms, stored).await?
            && one.connection.owner.is(subject)
        {
            listed.push(one);
        }
    }
    Ok(listed)
}

/// A page of a tenant's connections, for administrators, and where the next one begins.
///
/// # Errors
/// The store's.
pub async fn of_tenant(
    rooms: &Rooms,
    tenant: &TenantId,
    provider: Option<&ProviderId>,
    after: Option<&ConnectionId>,
    limit: u32,
) -> Result<(Vec<Listed>, Option<ConnectionId>), Refusal> {
    let (rows, last) = page(rooms, tenant, after, limit).await?;
    let mut listed = Vec::new();
    for stored in rows {
        listed.extend(list_one(rooms, stored).await?);
    }
    listed.retain(|one| provider.is_none_or(|provider| one.connection.provider == *provider));
    Ok((listed, last))
}

/// A page of rows, and the id to go on after if there are more. A quarantined row is not shown, but it does not end the list.
async fn page(
    rooms: &Rooms,
    tenant: &TenantId,
    after: Option<&ConnectionId>,
    mut limit: u32,
) -> Result<(Vec<Readable<StoredConnection>>, Option<ConnectionId>), Refusal> {
    loop {
        let mut rows = rooms.store.connections.page(tenant, after, limit.saturating_add(1)).await?;
        if rows.len() <= limit as usize {
            return Ok((rows, None));
        }
        rows.truncate(limit as usize);
        let last = rows.iter().rposition(|row| id_of(row).is_some());
        // Ids that are none cannot be gone on after: a page with nothing else is made longer.
        let Some(last) = last else {
            limit = limit.saturating_mul(2);
            continue;
        };
        rows.truncate(last + 1);
        let last = rows.last().and_then(id_of);
        return Ok((rows, last));
    }
}

fn id_of(row: &Readable<StoredConnection>) -> Option<ConnectionId> {
    match row {
        Ok(stored) => Some(stored.row.stored_parts().0.id.clone()),
        Err(quarantined) => quarantined.id(ConnectionId::parse),
    }
}

/// One connection by id, in one of `tenants`.
///
/// # Errors
/// [`Reason::NotFound`]; [`Reason::RecordQuarantined`]; the store's.
pub async fn by_id(rooms: &Rooms, tenants: &[TenantId], id: &ConnectionId) -> Result<Listed, Refusal> {
    for tenant in tenants {
        if let Some(stored) = rooms.store.connections.by_id(tenant, id).await? {
            return list_one(rooms, Ok(stored)).await?.ok_or_else(|| Refusal::new(Reason::RecordQuarantined));
        }
    }
    Err(Refusal::new(Reason::NotFound))
}

/// A row that fails its check is left out and logged: it says nothing that could be relied on.
async fn list_one(rooms: &Rooms, stored: Readable<StoredConnection>) -> Result<Option<Listed>, Refusal> {
    let key = rooms.row_key();
    let stored = match stored {
        Ok(stored) => stored,
        Err(row) => {
            tracing::error!(column = row.column, "a connection row cannot be read and is not shown");
            return Ok(None);
        }
    };
    let last_used_at = stored.last_used_at;
    let Ok(connection) = stored.row.check(&key) else {
        tracing::error!("a connection row failed its integrity check and is not shown");
        return Ok(None);
    };
    let mut approvals = Vec::new();
    for found in rooms.store.approvals.of_connection(connection.owner.tenant(), &connection.id).await? {
        if let Ok(tagged) = found
            && let Ok(approval) = tagged.check(&key)
            && approval.is_active()
        {
            approvals.push(approval);
        }
    }
    let ends_at = end_of(rooms, &connection).await?;
    Ok(Some(Listed { connection, ends_at, last_used_at, approvals }))
}

/// When it is over unless its person connects again (RF10).
async fn end_of(rooms: &Rooms, connection: &Connection) -> Result<Option<Timestamp>, Refusal> {
    let spec = rooms.providers.get(&connection.provider);
    let mut refresh_ends = None;
    if spec.is_some_and(|spec| spec.idle_limit.is_some()) {
        let secrets = rooms.store.connections.secrets(&connection.id).await?;
        // One that cannot be relied on says nothing.
        let mut secrets = secrets.into_iter().filter_map(|found| found.ok()?.check(&rooms.row_key()).ok());
        refresh_ends = secrets.find(|row| row.kind == SecretKind::Refresh).and_then(|row| row.expires_at);
    }
    Ok(ends_at(spec, connection, refresh_ends, rooms.clock.now()))
}
