//! Somebody signed in opens a consent link: its own person sees it, nobody else learns anything (promise 4).

use super::{Rooms, Visitor, also_held, open_parent};
use crate::{
    connection::own_connections,
    consent,
    domain::{
        Account, Connection, ConnectionId, Consent, ConsentReason, ConsentState, Entry, EventKind, Outcome,
        ProviderSpec, Reason, Refusal, Scope, ScopeSet, Write,
        provider::{ScopeAccess, ScopeSpec},
    },
};

use std::sync::Arc;

/// After this many foreign visits of one link no further event is written (CO2).
pub(super) const MAX_MISMATCHES: i64 = 20;

/// What a consent page shows.
#[derive(Debug)]
pub struct ConsentView {
    /// The consent.
    pub consent: Consent,
    /// What people call the MCP server (operator configuration).
    pub server: String,
    /// What people call the provider.
    pub provider: String,
    /// What the server asks for, in words.
    pub scopes: Vec<ScopeSpec>,
    /// What the provider granted beyond what it was asked for, in words (CO10); empty while nothing was obtained.
    pub wider: Vec<ScopeSpec>,
    /// What the server will hold besides, because the provider cannot narrow its token and rules let it (GR1).
    pub held_too: Vec<ScopeSpec>,
    /// What people call the other servers that will hold a token with what is asked for, though nobody approved it for
    /// them (GR1); sorted.
    pub also_held_by: Vec<String>,
    /// The account of the connection it is about, or that came of it, if there is one.
    pub account: Option<Account>,
    /// The handle of the page that leads through this consent and others, if there is one (GR6).
    pub parent: Option<String>,
    /// Accounts to choose from, for [`ConsentReason::ChooseAccount`].
    pub choices: Vec<(ConnectionId, Account)>,
}

/// What a visitor gets to see.
#[derive(Debug)]
pub enum Visit {
    /// The page, in whatever state the consent is.
    Own(Box<ConsentView>),
    /// It is somebody else's.
    SomebodyElses,
}

/// Finds the consent behind a link.
///
/// # Errors
/// [`Reason::NotFound`]; the store's.
pub async fn find_by_handle(rooms: &Rooms, handle: &str) -> Result<Consent, Refusal> {
    let not_found = || Refusal::because(Reason::NotFound, "This link is not known, or it has expired.");
    // An HMAC-SHA-256 in base64url has 43 characters; nothing longer is looked up.
    if handle.len() != 43 {
        return Err(not_found());
    }
    let found = rooms.store.consents.by_handle(&consent::link_hash(handle)).await?;
    Ok(found.ok_or_else(not_found)?.check(&rooms.row_key())?)
}

/// Opens a link for a signed-in visitor.
///
/// # Errors
/// [`Reason::NotFound`], [`Reason::Blocked`]; the store's.
pub async fn open_consent(rooms: &Arc<Rooms>, visitor: &Visitor, handle: &str) -> Result<Visit, Refusal> {
    let found = find_by_handle(rooms, handle).await?;
    match own(rooms, visitor, found).await? {
        Some((found, _)) => Ok(Visit::Own(Box::new(view(rooms, found).await?))),
        None => Ok(Visit::SomebodyElses),
    }
}

/// The consent if it is the visitor's, and the epoch at which nothing in it was blocked; otherwise the visit is recorded and nothing is revealed.
///
/// # Errors
/// [`Reason::Blocked`]; the audit log's.
pub(super) async fn own(
    rooms: &Arc<Rooms>,
    visitor: &Visitor,
    found: Consent,
) -> Result<Option<(Consent, i64)>, Refusal> {
    if found.subject == visitor.session.subject {
        let epoch = rooms.not_blocked(&visitor.names(&found))?;
        let found =
            if found.is_expired(rooms.clock.now()) { super::expire(rooms, found).await? } else { found };
        return Ok(Some((found, epoch)));
    }
    if found.mismatches < MAX_MISMATCHES {
        let mut draft = visitor.draft(rooms, EventKind::ConsentUserMismatch, Outcome::Denied);
        draft.reason = Some(Reason::ConsentUserMismatch);
        draft.consent = Some(found.id.clone());
        draft.workload = Some(found.workload.clone());
        draft.provider = Some(found.provider.clone());
        // While the code is being exchanged the row belongs to the exchange: a stranger's visit must not get in its way.
        let effect = if matches!(found.state, ConsentState::Exchanging { .. }) {
            Vec::new()
        } else {
            let expected_version = found.version;
            let row = rooms.row_key().tag(found.count_mismatch());
            vec![Write::UpdateConsent { row, expected_version }]
        };
        match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, visitor.call.deadline).await {
            Ok(_) | Err(crate::audit::Refused::NotApplied) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(None)
}

/// Gathers what the page shows.
///
/// # Errors
/// The store's.
pub(super) async fn view(rooms: &Rooms, consent: Consent) -> Result<ConsentView, Refusal> {
    let spec = rooms.provider(&consent.provider)?;
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let connections: Vec<Connection> = own.connections.into_iter().map(|(c, _)| c).collect();
    let also = also_held::also_held(rooms, spec, &consent, &connections).await?;
    let accounts: Vec<(ConnectionId, Account)> = connections.into_iter().map(account_of).collect();
    let (about, wider) = match &consent.state {
        ConsentState::Completed { connection, .. } => (Some(connection), ScopeSet::default()),
        ConsentState::AwaitingConfirmation { obtained, .. } => {
            (consent.connection.as_ref(), obtained.scopes.minus(&consent.provider_scopes))
        }
        _ => (consent.connection.as_ref(), ScopeSet::default()),
    };
    let account = accounts.iter().find(|(id, _)| Some(id) == about).map(|(_, a)| a.clone());
    let parent = open_parent::parent_of(rooms, &consent).await?;
    let choices = if consent.reason == ConsentReason::ChooseAccount { accounts } else { Vec::new() };
    Ok(ConsentView {
        server: rooms.workload_name(&consent.workload),
        provider: spec.display_name.clone(),
        scopes: in_words(spec, &consent.scopes),
        wider: in_words(spec, &wider),
        held_too: in_words(spec, &also.by_itself),
        also_held_by: also.by_others,
        account,
        parent,
        choices,
        consent,
    })
}

fn account_of(connection: Connection) -> (ConnectionId, Account) {
    (connection.id, connection.account)
}

/// Every scope: one that the configuration does not describe (any more) by its own name, as if it could change things,
/// because nobody may agree to what they are not shown.
/// Every scope is shown. One that the catalog does not know is shown by its name, and taken for write access.
pub(super) fn in_words(spec: &ProviderSpec, scopes: &ScopeSet) -> Vec<ScopeSpec> {
    let unknown = |scope: &Scope| ScopeSpec {
        scope: scope.clone(),
        description: scope.to_string(),
        access: ScopeAccess::Write,
    };
    scopes.iter().map(|scope| spec.scope(scope).cloned().unwrap_or_else(|| unknown(scope))).collect()
}

impl ConsentView {
    /// What waits for confirmation, if anything.
    pub fn obtained(&self) -> Option<&crate::domain::consent::Obtained> {
        match &self.consent.state {
            ConsentState::AwaitingConfirmation { obtained, .. } => Some(obtained),
            _ => None,
        }
    }
}
