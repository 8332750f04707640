//! What connections there are: a workload's own view, a person's own, an administrator's.

use super::{Caller, Rooms};
use crate::{
    connection::{own_approval, own_connections},
    domain::{
        Approval, Connection, ConnectionId, Owner, ProviderId, Reason, Refusal, StoredConnection, Subject,
        TenantId, Timestamp,
    },
};

/// A connection as it may be shown: never any secret material.
#[derive(Debug)]
pub struct Listed {
    /// The checked row.
    pub connection: Connection,
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
    let assertion = rooms.identity.assertion(assertion, &caller.workload).await?;
    rooms.not_blocked(&caller.names(&assertion))?;
    let key = rooms.row_key();
    let rules = rooms.audit.rules();
    let own = own_connections(&rooms.store, &key, &rules, assertion.subject(), provider).await?;
    let mut listed = Vec::new();
    for (connection, _) in own.connections {
        if let Some(approval) = own_approval(&rooms.store, &key, &rules, &connection, caller.id()).await? {
            listed.push(Listed { connection, last_used_at: None, approvals: vec![approval] });
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
    let mut rows = rooms.store.connections.page(tenant, after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    // A row that fails its check is not shown, but it does not end the list.
    let last = rows.last().map(|stored| stored.row.clone().unverified().id);
    let mut listed = Vec::new();
    for stored in rows {
        listed.extend(list_one(rooms, stored).await?);
    }
    listed.retain(|one| provider.is_none_or(|provider| one.connection.provider == *provider));
    Ok((listed, last.filter(|_| more)))
}

/// One connection by id, in one of `tenants`.
///
/// # Errors
/// [`Reason::NotFound`]; [`Reason::RecordQuarantined`]; the store's.
pub async fn by_id(rooms: &Rooms, tenants: &[TenantId], id: &ConnectionId) -> Result<Listed, Refusal> {
    for tenant in tenants {
        if let Some(stored) = rooms.store.connections.by_id(tenant, id).await? {
            return list_one(rooms, stored).await?.ok_or_else(|| Refusal::new(Reason::RecordQuarantined));
        }
    }
    Err(Refusal::new(Reason::NotFound))
}

/// A row that fails its check is left out and logged: it says nothing that could be relied on.
async fn list_one(rooms: &Rooms, stored: StoredConnection) -> Result<Option<Listed>, Refusal> {
    let key = rooms.row_key();
    let last_used_at = stored.last_used_at;
    let Ok(connection) = stored.row.check(&key) else {
        tracing::error!("a connection row failed its integrity check and is not shown");
        return Ok(None);
    };
    let mut approvals = Vec::new();
    for tagged in rooms.store.approvals.of_connection(connection.owner.tenant(), &connection.id).await? {
        if let Ok(approval) = tagged.check(&key)
            && approval.is_active()
        {
            approvals.push(approval);
        }
    }
    Ok(Some(Listed { connection, last_used_at, approvals }))
}
