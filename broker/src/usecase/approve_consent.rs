//! The user says yes: leave for the provider, or, where only their word was missing, done.

use super::{Rooms, Visitor, open_consent, own};
use crate::{
    connection::{own_approval, own_connections},
    crash::crash_point,
    domain::{
        Approval, ApprovalId, ApprovedBy, Connection, ConnectionId, ConnectionState, Consent, ConsentReason,
        Entry, EventKind, Outcome, PkceVerifier, Reason, Refusal, ScopeSet, Write, sha256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;
use url::Url;

/// What follows the yes.
pub enum Approved {
    /// The browser leaves for the provider.
    Leave(Url),
    /// The approval stands; nothing more to do.
    Completed,
}

/// Approves a consent. `seen` is [`Consent::terms`] as the page showed them; `chosen` names the account for
/// [`ConsentReason::ChooseAccount`].
///
/// # Errors
/// [`Reason::NotFound`] for a foreign or unknown link; [`Reason::Conflict`] when it is over; the store's.
pub async fn approve_consent(
    rooms: &Arc<Rooms>,
    visitor: &Visitor,
    handle: &str,
    seen: &str,
    chosen: Option<ConnectionId>,
) -> Result<Approved, Refusal> {
    let found = open_consent::find_by_handle(rooms, handle).await?;
    let (mut consent, epoch) =
        own(rooms, visitor, found).await?.ok_or_else(|| Refusal::new(Reason::NotFound))?;
    // The yes is to what the page said: a server must not swap it between page and click.
    if consent.terms() != seen {
        let sentence = "This request has changed since the page was shown. Read it again before you decide.";
        return Err(Refusal::because(Reason::Conflict, sentence));
    }
    if let (ConsentReason::ChooseAccount, Some(chosen)) = (consent.reason, &chosen) {
        let connection = target(rooms, &consent, Some(chosen.clone())).await?;
        if !consent.scopes.is_subset(&connection.scopes) {
            // The account chosen carries too little: it is widened at the provider.
            consent.reason = ConsentReason::ScopesMissing;
            consent.provider_scopes = consent.scopes.union(&connection.scopes);
            consent.connection = Some(connection.id);
        }
    }
    if consent.reason.needs_provider() {
        leave(rooms, visitor, consent, epoch).await
    } else {
        complete(rooms, visitor, consent, chosen, epoch).await
    }
}

async fn leave(
    rooms: &Rooms,
    visitor: &Visitor,
    mut consent: Consent,
    epoch: i64,
) -> Result<Approved, Refusal> {
    let browser_hash = visitor.browser_hash.ok_or_else(|| Refusal::new(Reason::ConsentOtherBrowser))?;
    // The connection may have been made or widened since this was drafted: nothing of it is to be lost (CO9).
    consent.provider_scopes = consent.provider_scopes.union(&held(rooms, &consent).await?);
    let spec = rooms.provider(&consent.provider)?;
    let state = random_token(rooms);
    let verifier = crate::provider::new_verifier(&*rooms.rng);
    let redirect_uri = rooms.redirect_uri(&spec.id);
    let url = rooms.engine.authorize_url(spec, &redirect_uri, &state, &verifier, &consent.provider_scopes)?;
    let key = consent.record_key();
    let sealed = rooms.vault.seal::<PkceVerifier>(&key, verifier).await?;
    let expected_version = consent.version;
    let draft = visitor.draft_about(rooms, EventKind::ConsentApproved, Outcome::Allowed, &consent);
    let names = visitor.names(&consent);
    let next = consent.approve(sha256(state.as_bytes()), browser_hash, sealed)?;
    let effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next), expected_version }];
    rooms.audit.note(Entry { names, epoch, effect, ..Entry::note(draft) }, visitor.call.deadline).await?;
    crash_point!(rooms.points, "consent.approved");
    Ok(Approved::Leave(url))
}

/// What the connection carries that this consent is about, or that was made meanwhile.
async fn held(rooms: &Rooms, consent: &Consent) -> Result<ScopeSet, Refusal> {
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let active = own.connections.into_iter().map(|(connection, _)| connection);
    let mut active: Vec<Connection> = active.filter(|c| c.state == ConnectionState::Active).collect();
    if let Some(id) = &consent.connection {
        active.retain(|connection| connection.id == *id);
    }
    Ok(match active.as_slice() {
        [only] => only.scopes.clone(),
        // Which of several accounts comes back is not known.
        _ => ScopeSet::default(),
    })
}

async fn complete(
    rooms: &Rooms,
    visitor: &Visitor,
    consent: Consent,
    chosen: Option<ConnectionId>,
    epoch: i64,
) -> Result<Approved, Refusal> {
    let connection = target(rooms, &consent, chosen).await?;
    if !consent.scopes.is_subset(&connection.scopes) {
        return Err(Refusal::new(Reason::Conflict));
    }
    let mut effect = Vec::new();
    let approval = put_approval(rooms, &consent, &connection, &consent.scopes, epoch, &mut effect).await?;
    let mut names = visitor.names(&consent);
    names.connection = Some(connection.id.clone());
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentCompleted, Outcome::Allowed, &consent);
    draft.connection = Some(connection.id.clone());
    draft.approval = Some(approval);
    draft.scopes_granted = consent.scopes.clone();
    draft.personal.account_label = Some(connection.account.label.clone());
    let expected_version = consent.version;
    let next = consent.complete_without_provider(connection.id)?;
    effect.insert(0, Write::UpdateConsent { row: rooms.row_key().tag(next), expected_version });
    rooms.audit.note(Entry { names, epoch, effect, ..Entry::note(draft) }, visitor.call.deadline).await?;
    crash_point!(rooms.points, "consent.completed");
    Ok(Approved::Completed)
}

/// The connection a yes is about: the consent's own, or the one chosen among the person's own.
async fn target(
    rooms: &Rooms,
    consent: &Consent,
    chosen: Option<ConnectionId>,
) -> Result<Connection, Refusal> {
    let wanted = match consent.reason {
        ConsentReason::ChooseAccount => {
            chosen.ok_or_else(|| Refusal::invalid("connection", "Choose an account."))?
        }
        _ => consent.connection.clone().ok_or_else(|| Refusal::new(Reason::Conflict))?,
    };
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let found = own
        .connections
        .into_iter()
        .map(|(connection, _)| connection)
        .find(|connection| connection.id == wanted);
    found.filter(|c| c.state == ConnectionState::Active).ok_or_else(|| Refusal::new(Reason::Conflict))
}

/// Adds the writes that make `connection` the workload's default account with an approval for `scopes`.
pub(super) async fn put_approval(
    rooms: &Rooms,
    consent: &Consent,
    connection: &Connection,
    scopes: &ScopeSet,
    epoch: i64,
    effect: &mut Vec<Write>,
) -> Result<ApprovalId, Refusal> {
    let key = rooms.row_key();
    let tenant = connection.owner.tenant();
    let earlier = rooms.store.approvals.find(tenant, &connection.id, &consent.workload).await?;
    // The version guards the replacement even of a quarantined row: what it says otherwise does not count.
    let expected_version = earlier.map(|found| match found {
        Ok(tagged) => tagged.unverified().version,
        Err(quarantined) => quarantined.version,
    });
    let rules = rooms.audit.rules();
    let standing = own_approval(&rooms.store, &key, &rules, connection, &consent.workload).await?;
    let others = !other_defaults(rooms, consent, connection).await?.is_empty();
    let default_account = consent.reason == ConsentReason::ChooseAccount || !others;
    let approval = Approval {
        // A standing approval keeps its id, so that a rule on it hits whoever read it before it was widened.
        id: standing.as_ref().map_or_else(|| ApprovalId::random(&*rooms.rng), |a| a.id.clone()),
        tenant: tenant.clone(),
        connection: connection.id.clone(),
        workload: consent.workload.clone(),
        scopes: standing.as_ref().map_or_else(|| scopes.clone(), |a| a.scopes.union(scopes)),
        by: ApprovedBy::User,
        default_account: default_account || standing.as_ref().is_some_and(|a| a.default_account),
        withdrawn_at: None,
        version: expected_version.unwrap_or(0).wrapping_add(1),
        born_epoch: epoch,
        created_at: rooms.clock.now(),
    };
    let becomes_default = approval.default_account;
    let id = approval.id.clone();
    effect.push(Write::PutApproval { row: key.tag(approval), expected_version });
    if becomes_default {
        for other in other_defaults(rooms, consent, connection).await? {
            let expected_version = Some(other.version);
            let row = Approval { default_account: false, version: other.version + 1, ..other };
            effect.push(Write::PutApproval { row: key.tag(row), expected_version });
        }
    }
    Ok(id)
}

/// The workload's standing default approvals on the person's other connections: at most one account is a default.
async fn other_defaults(
    rooms: &Rooms,
    consent: &Consent,
    chosen: &Connection,
) -> Result<Vec<Approval>, Refusal> {
    let key = rooms.row_key();
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &key, &rules, &consent.subject, provider).await?;
    let mut defaults = Vec::new();
    for (other, _) in own.connections.iter().filter(|(other, _)| other.id != chosen.id) {
        let approval = own_approval(&rooms.store, &key, &rules, other, &consent.workload).await?;
        defaults.extend(approval.filter(|approval| approval.default_account));
    }
    Ok(defaults)
}

/// 256 random bits in base64url.
fn random_token(rooms: &Rooms) -> String {
    let mut bytes = [0; 32];
    rooms.rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
