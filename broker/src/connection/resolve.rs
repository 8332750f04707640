//! Which connection and approval a call uses: only the subject's own, only this workload's (promise 3).

use crate::{
    domain::{
        Approval, Connection, ConnectionId, ConnectionState, ConsentReason, Names, Owner, ProviderId,
        QuarantinedRow, Reason, RefreshState, Refusal, RowKey, Rules, ScopeSet, Subject, WorkloadId,
    },
    storage::Store,
};

/// A connection that may be used, and this workload's approval on it.
#[derive(Debug)]
pub struct Usable {
    /// The checked connection.
    pub connection: Connection,
    /// How refreshing stands.
    pub refresh: RefreshState,
    /// The checked approval.
    pub approval: Approval,
}

/// Why the user has to act first.
#[derive(Debug)]
pub struct Need {
    /// Why.
    pub reason: ConsentReason,
    /// The connection it is about, if there is one.
    pub connection: Option<Connection>,
    /// Scopes the approval lacks.
    pub missing: ScopeSet,
    /// What the approval should carry.
    pub scopes: ScopeSet,
    /// A row of this user failed its check; it is left alone and replaced (VA9).
    pub quarantined: bool,
}

impl Need {
    /// A need for `scopes`, all of them missing.
    pub fn of(reason: ConsentReason, scopes: &ScopeSet) -> Self {
        Self { reason, connection: None, missing: scopes.clone(), scopes: scopes.clone(), quarantined: false }
    }

    /// The same about a connection.
    #[must_use]
    pub fn about(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }
}

/// The outcome of looking.
#[derive(Debug)]
pub enum Resolved {
    /// It can be used.
    Usable(Box<Usable>),
    /// The user has to act first.
    Need(Box<Need>),
}

/// What is asked for.
pub struct Wanted<'a> {
    /// For whom.
    pub subject: &'a Subject,
    /// By whom.
    pub workload: &'a WorkloadId,
    /// Where.
    pub provider: &'a ProviderId,
    /// What, after policy.
    pub scopes: &'a ScopeSet,
    /// Which connection, if the caller names one.
    pub connection: Option<&'a ConnectionId>,
}

/// A subject's own connections that are not over.
#[derive(Debug, Default)]
pub struct Own {
    /// Checked.
    pub connections: Vec<(Connection, RefreshState)>,
    /// Rows that failed their check (VA9): never used, only retired when the owner connects again.
    pub unverified: Vec<Connection>,
    /// Rows that cannot even be read (VA9): never used, only set aside when the owner connects again.
    pub unreadable: Vec<QuarantinedRow>,
    /// Ended by a rule, though the row does not say so yet: never used, only retired when the owner connects again.
    pub over: Vec<Connection>,
}

impl Own {
    /// Whether there are rows that were never used and never absent.
    fn is_quarantined(&self) -> bool {
        !self.unverified.is_empty() || !self.unreadable.is_empty()
    }

    fn is_quarantined_row(&self, id: &ConnectionId) -> bool {
        self.unverified.iter().any(|row| row.id == *id)
            || self.unreadable.iter().any(|row| row.id == id.as_str().as_bytes())
    }
}

/// The subject's own connections, at one provider or all.
///
/// # Errors
/// The store's.
pub async fn own_connections(
    store: &Store,
    key: &RowKey,
    rules: &Rules,
    subject: &Subject,
    provider: Option<&ProviderId>,
) -> Result<Own, Refusal> {
    let mut own = Own::default();
    for stored in store.connections.of_owner(&Owner::Subject(subject.clone()), provider).await? {
        let stored = match stored {
            Ok(stored) => stored,
            Err(row) => {
                tracing::error!(column = row.column, "a connection row cannot be read and is quarantined");
                own.unreadable.push(row);
                continue;
            }
        };
        match stored.row.sift(key) {
            Ok(connection) if is_over(&connection, rules) => own.over.push(connection),
            // The query asked for this owner and provider; the checked row must say the same.
            Ok(connection)
                if connection.owner.is(subject) && provider.is_none_or(|p| *p == connection.provider) =>
            {
                own.connections.push((connection, stored.refresh));
            }
            Ok(unverified) | Err(unverified) => {
                tracing::error!(connection = %unverified.id, "a connection row failed its integrity check");
                own.unverified.push(unverified);
            }
        }
    }
    Ok(own)
}

fn is_over(connection: &Connection, rules: &Rules) -> bool {
    let names = Names { connection: Some(connection.id.clone()), ..Names::default() };
    connection.state == ConnectionState::Revoked || rules.revoke_on(&names, connection.born_epoch).is_some()
}

/// Finds the connection and approval for a call.
///
/// # Errors
/// The store's; [`Reason::NotFound`] for a named connection that is not the subject's.
pub async fn resolve(
    store: &Store,
    key: &RowKey,
    rules: &Rules,
    wanted: &Wanted<'_>,
) -> Result<Resolved, Refusal> {
    let own = own_connections(store, key, rules, wanted.subject, Some(wanted.provider)).await?;
    let quarantined = own.is_quarantined();
    let (connection, refresh) = match choose(store, key, own, wanted).await? {
        Chosen::One(chosen) => *chosen,
        Chosen::None => {
            let reason =
                if quarantined { ConsentReason::ReauthRequired } else { ConsentReason::NotConnected };
            let need = Need { quarantined, ..Need::of(reason, wanted.scopes) };
            return Ok(Resolved::Need(Box::new(need)));
        }
        Chosen::Several => return need(ConsentReason::ChooseAccount, wanted, None),
    };
    match connection.state {
        ConnectionState::Active => {}
        ConnectionState::Suspended => return Err(Refusal::new(Reason::Blocked).with("blocked", "connection")),
        ConnectionState::ReauthRequired | ConnectionState::Revoked => {
            return need(ConsentReason::ReauthRequired, wanted, Some(connection));
        }
    }
    if !wanted.scopes.is_subset(&connection.scopes) {
        return need(ConsentReason::ScopesMissing, wanted, Some(connection));
    }
    match own_approval(store, key, rules, &connection, wanted.workload).await? {
        Some(approval) if wanted.scopes.is_subset(&approval.scopes) => {
            Ok(Resolved::Usable(Box::new(Usable { connection, refresh, approval })))
        }
        Some(approval) => {
            let missing = wanted.scopes.minus(&approval.scopes);
            let scopes = wanted.scopes.union(&approval.scopes);
            let need = Need { missing, ..Need::of(ConsentReason::NotApproved, &scopes) }.about(connection);
            Ok(Resolved::Need(Box::new(need)))
        }
        None => need(ConsentReason::NotApproved, wanted, Some(connection)),
    }
}

fn need(
    reason: ConsentReason,
    wanted: &Wanted<'_>,
    connection: Option<Connection>,
) -> Result<Resolved, Refusal> {
    let mut need = Need::of(reason, wanted.scopes);
    if let (ConsentReason::ScopesMissing, Some(connection)) = (reason, &connection) {
        need.missing = wanted.scopes.minus(&connection.scopes);
    }
    need.connection = connection;
    Ok(Resolved::Need(Box::new(need)))
}

enum Chosen {
    None,
    One(Box<(Connection, RefreshState)>),
    Several,
}

/// GR11: the named one, the only one, or the workload's default; never the newest, first or last used.
async fn choose(store: &Store, key: &RowKey, own: Own, wanted: &Wanted<'_>) -> Result<Chosen, Refusal> {
    if let Some(named) = wanted.connection {
        // Quarantined is not unknown: its owner is asked to connect again.
        if own.is_quarantined_row(named) {
            return Ok(Chosen::None);
        }
        let found = own.connections.into_iter().find(|(connection, _)| connection.id == *named);
        let (connection, refresh) = found.ok_or_else(|| Refusal::new(Reason::NotFound))?;
        return Ok(Chosen::One(Box::new((connection, refresh))));
    }
    let mut own = own.connections;
    if own.len() <= 1 {
        return Ok(own.pop().map_or(Chosen::None, |chosen| Chosen::One(Box::new(chosen))));
    }
    let mut default = None;
    for (index, (connection, _)) in own.iter().enumerate() {
        let tenant = connection.owner.tenant();
        let found = store.approvals.find(tenant, &connection.id, wanted.workload).await?;
        let approval = found.and_then(|found| found.ok()?.check(key).ok());
        if approval.is_some_and(|a| a.is_active() && a.default_account) && default.replace(index).is_some() {
            return Ok(Chosen::Several);
        }
    }
    Ok(match default {
        Some(index) => Chosen::One(Box::new(own.swap_remove(index))),
        None => Chosen::Several,
    })
}

/// This workload's standing approval on a connection. A row that fails its check or cannot be read is none: the user is asked again.
///
/// # Errors
/// The store's.
pub async fn own_approval(
    store: &Store,
    key: &RowKey,
    rules: &Rules,
    connection: &Connection,
    workload: &WorkloadId,
) -> Result<Option<Approval>, Refusal> {
    let found = store.approvals.find(connection.owner.tenant(), &connection.id, workload).await?;
    let approval = match found {
        None => return Ok(None),
        Some(Ok(tagged)) => tagged.check(key).ok(),
        Some(Err(_)) => None,
    };
    let Some(approval) = approval else {
        tracing::error!(connection = %connection.id, "an approval row is quarantined");
        return Ok(None);
    };
    let names = Names { approval: Some(approval.id.clone()), ..Names::default() };
    let stands = approval.is_active()
        && approval.connection == connection.id
        && approval.workload == *workload
        && approval.tenant == *connection.owner.tenant()
        && rules.revoke_on(&names, approval.born_epoch).is_none();
    Ok(stands.then_some(approval))
}
