//! Who will hold a token besides, where the provider cannot narrow it: what a consent page has to say first (GR1).

use super::Rooms;
use crate::{
    domain::{
        Approval, Connection, ConnectionState, Consent, ConsentReason, ConsentState, Names, ProviderSpec,
        Refusal, ScopeSet, SecretKind, WorkloadId,
    },
    policy::Question,
    storage::StoreError,
};
use std::{collections::BTreeSet, sync::Arc};

/// What rules let be held beyond approvals, once the consent is completed. Errs on the side of naming: see
/// [`crate::policy::Policy::might_hold`].
#[derive(Debug, Default)]
pub(super) struct AlsoHeld {
    /// By the server that asks, beyond what it asks for and has.
    pub(super) by_itself: ScopeSet,
    /// The names of other servers that will hold something by it that they could not hold before; sorted.
    pub(super) by_others: Vec<String>,
}

/// A connection as it will be, with the token that will stand behind it.
struct Prospect<'a> {
    connection: Option<&'a Connection>,
    token: ScopeSet,
    /// What the token that others can be handed today carries; empty where there is none, or each gets a narrower one.
    before: ScopeSet,
    /// What the server that asks will have been approved for by this consent.
    approved: ScopeSet,
}

/// Looks ahead to the end of `consent`. `own` are its person's connections at the provider.
///
/// # Errors
/// The store's.
pub(super) async fn also_held(
    rooms: &Rooms,
    spec: &ProviderSpec,
    consent: &Consent,
    own: &[Connection],
) -> Result<AlsoHeld, Refusal> {
    let mut by_itself = ScopeSet::default();
    let mut names = BTreeSet::new();
    for prospect in prospects(rooms, spec, consent, own).await? {
        let approvals = standing(rooms, prospect.connection).await?;
        let has = |workload: &WorkloadId| {
            let one = approvals.iter().find(|approval| approval.workload == *workload);
            one.map(|approval| approval.scopes.clone()).unwrap_or_default()
        };
        let approved = has(&consent.workload).union(&prospect.approved);
        let held = might_hold(rooms, spec, consent, &consent.workload, &approved, &prospect.token);
        by_itself = by_itself.union(&held.unwrap_or_default());
        for other in approvals.iter().filter(|approval| approval.workload != consent.workload) {
            let holds = |token: &ScopeSet| {
                might_hold(rooms, spec, consent, &other.workload, &other.scopes, token).unwrap_or_default()
            };
            // Also what nobody asked for: a provider may give more (CO10).
            let gains = holds(&prospect.token).minus(&holds(&prospect.before));
            if !gains.is_empty() && is_served(rooms, spec, &other.workload) {
                names.insert(rooms.workload_name(&other.workload));
            }
        }
    }
    Ok(AlsoHeld { by_itself, by_others: names.into_iter().collect() })
}

/// The connections that the consent may end at, of those whose token cannot be narrowed.
async fn prospects<'a>(
    rooms: &Rooms,
    spec: &ProviderSpec,
    consent: &Consent,
    own: &'a [Connection],
) -> Result<Vec<Prospect<'a>>, Refusal> {
    if let ConsentState::AwaitingConfirmation { obtained, .. } = &consent.state {
        if spec.can_narrow() && obtained.refresh.is_some() {
            return Ok(Vec::new());
        }
        let connection = own.iter().find(|connection| connection.account.id == obtained.account.id);
        let before = held_before(rooms, spec, connection).await?;
        let (token, approved) = (obtained.scopes.clone(), consent.scopes.intersection(&obtained.scopes));
        return Ok(vec![Prospect { connection, token, before, approved }]);
    }
    if !matches!(consent.state, ConsentState::Pending) {
        return Ok(Vec::new());
    }
    if consent.reason.needs_provider() {
        if spec.can_narrow() {
            return Ok(Vec::new());
        }
        // Whether there will be a refresh token is known on the next page.
        let connection = own.iter().find(|connection| Some(&connection.id) == consent.connection.as_ref());
        let before = held_before(rooms, spec, connection).await?;
        let (token, approved) = (consent.provider_scopes.clone(), consent.scopes.clone());
        return Ok(vec![Prospect { connection, token, before, approved }]);
    }
    let any = consent.reason == ConsentReason::ChooseAccount;
    let mut found = Vec::new();
    for connection in own.iter().filter(|one| any || Some(&one.id) == consent.connection.as_ref()) {
        if narrows(rooms, spec, connection).await? {
            continue;
        }
        let before = held_before(rooms, spec, Some(connection)).await?;
        // An account that carries too little is widened at the provider.
        let (token, approved) = (connection.scopes.union(&consent.scopes), consent.scopes.clone());
        found.push(Prospect { connection: Some(connection), token, before, approved });
    }
    Ok(found)
}

/// What the token that stands behind a connection today carries, for whoever may be handed it as it is.
async fn held_before(
    rooms: &Rooms,
    spec: &ProviderSpec,
    connection: Option<&Connection>,
) -> Result<ScopeSet, Refusal> {
    match connection {
        Some(one) if one.state == ConnectionState::Active && !narrows(rooms, spec, one).await? => {
            Ok(one.scopes.clone())
        }
        // One that ended is handed to nobody, until it is connected again.
        _ => Ok(ScopeSet::default()),
    }
}

/// Whether each server gets a token of its own width from a connection.
async fn narrows(rooms: &Rooms, spec: &ProviderSpec, connection: &Connection) -> Result<bool, Refusal> {
    if !spec.can_narrow() {
        return Ok(false);
    }
    match rooms.store.connections.secret(&connection.id, SecretKind::Refresh, "").await {
        // A row that cannot be read refreshes nothing.
        Err(StoreError::Malformed { .. }) => Ok(false),
        stored => Ok(stored?.is_some()),
    }
}

/// The approvals that stand on a connection. A row that fails its check is none.
async fn standing(rooms: &Rooms, connection: Option<&Connection>) -> Result<Vec<Approval>, Refusal> {
    let Some(connection) = connection else { return Ok(Vec::new()) };
    let (key, rules) = (rooms.row_key(), rooms.audit.rules());
    let tenant = connection.owner.tenant();
    let stored = rooms.store.approvals.of_connection(tenant, &connection.id).await?;
    let stands = |approval: &Approval| {
        let names = Names { approval: Some(approval.id.clone()), ..Names::default() };
        approval.is_active()
            && approval.connection == connection.id
            && approval.tenant == *tenant
            && rules.revoke_on(&names, approval.born_epoch).is_none()
    };
    Ok(stored.into_iter().filter_map(|row| row.ok()?.check(&key).ok()).filter(stands).collect())
}

/// Only a configured server is handed anything, and only for the providers on its list.
fn is_served(rooms: &Rooms, spec: &ProviderSpec, workload: &WorkloadId) -> bool {
    rooms.settings.workload_names.contains_key(workload) && rooms.provider_for(workload, &spec.id).is_ok()
}

fn might_hold(
    rooms: &Rooms,
    spec: &ProviderSpec,
    consent: &Consent,
    workload: &WorkloadId,
    approved: &ScopeSet,
    token: &ScopeSet,
) -> Option<ScopeSet> {
    let none = Arc::default();
    let question = Question {
        subject: &consent.subject,
        workload,
        workload_roles: rooms.settings.workload_roles.get(workload).unwrap_or(&none),
        provider: spec,
        scopes: token,
        now: rooms.clock.now(),
        // Not known on a page; the outlook of the rules does not look at them.
        issuer: "",
        roles: &none,
        acr: None,
        auth_time: None,
        client_id: None,
        tool: "",
        purpose: "",
        requested_ttl: None,
    };
    rooms.policy.might_hold(&question, approved, token)
}
