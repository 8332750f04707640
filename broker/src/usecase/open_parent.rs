//! Somebody signed in opens the link of a parent page: its own person sees how each consent stands, nobody else learns anything
//! (GR6, promise 4).

use super::{
    Rooms, Visitor,
    begin_consents::open_parents,
    expire,
    open_consent::{MAX_MISMATCHES, in_words},
};
use crate::{
    consent,
    domain::{
        Consent, ConsentReason, ConsentState, Entry, EventKind, Names, Outcome, ParentPage, Reason, Refusal,
        Timestamp, Write, provider::ScopeSpec,
    },
};
use std::sync::Arc;

/// How one consent of a parent page stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits for its person.
    Open,
    /// It waits for its person, who has begun.
    Begun,
    /// The connection and approval exist.
    Done,
    /// The person said no.
    Declined,
    /// Nobody finished it in time.
    Expired,
    /// It could not be finished.
    Failed,
}

/// One line of a parent page.
#[derive(Debug)]
pub struct Step {
    /// What people call the provider.
    pub provider: String,
    /// Why it is asked for.
    pub reason: ConsentReason,
    /// What is asked for, in words.
    pub scopes: Vec<ScopeSpec>,
    /// How it stands.
    pub standing: Standing,
    /// The handle of its own page.
    pub handle: String,
}

/// What a parent page shows.
#[derive(Debug)]
pub struct ParentView {
    /// What people call the MCP server (operator configuration).
    pub server: String,
    /// Its lines, in the order asked for.
    pub steps: Vec<Step>,
    /// When the page ends, UTC.
    pub expires_at: Timestamp,
    /// Whether it has, with something still missing.
    pub is_over: bool,
}

impl ParentView {
    /// The first line that waits for its person.
    pub fn next(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.is_open())
    }

    /// Whether nothing is missing any more.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| step.standing == Standing::Done)
    }
}

impl Step {
    /// Whether it waits for its person.
    pub fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Open | Standing::Begun)
    }
}

/// What a visitor gets to see.
#[derive(Debug)]
pub enum ParentVisit {
    /// The page.
    Own(Box<ParentView>),
    /// It is somebody else's.
    SomebodyElses,
}

/// Finds the parent page behind a link.
///
/// # Errors
/// [`Reason::NotFound`]; [`Reason::RecordQuarantined`]; the store's.
pub async fn find_parent(rooms: &Rooms, handle: &str) -> Result<ParentPage, Refusal> {
    let not_found = || Refusal::because(Reason::NotFound, "This link is not known, or it has expired.");
    // An HMAC-SHA-256 in base64url has 43 characters; nothing longer is looked up.
    if handle.len() != 43 {
        return Err(not_found());
    }
    let found = rooms.store.parents.by_handle(&consent::link_hash(handle)).await?;
    Ok(found.ok_or_else(not_found)?.check(&rooms.row_key())?)
}

/// Opens a link for a signed-in visitor. It changes nothing but what time has changed already.
///
/// # Errors
/// [`Reason::NotFound`], [`Reason::Blocked`]; the store's.
pub async fn open_parent(
    rooms: &Arc<Rooms>,
    visitor: &Visitor,
    handle: &str,
) -> Result<ParentVisit, Refusal> {
    let parent = find_parent(rooms, handle).await?;
    if parent.subject != visitor.session.subject {
        record_mismatch(rooms, visitor, parent).await?;
        return Ok(ParentVisit::SomebodyElses);
    }
    rooms.not_blocked(&Names {
        tenant: Some(parent.subject.tenant.clone()),
        subject: Some(parent.subject.clone()),
        issuer: Some(visitor.session.issuer.clone()),
        workload: Some(parent.workload.clone()),
        ..Names::default()
    })?;
    let mut steps = Vec::with_capacity(parent.consents.len());
    for id in &parent.consents {
        let consent = expire::reread(rooms, id).await?;
        // The page is for one person and one server; whatever its row says, it shows nothing of others.
        if consent.subject != parent.subject || consent.workload != parent.workload {
            return Err(Refusal::new(Reason::NotFound));
        }
        let over = consent.is_expired(rooms.clock.now());
        let consent = if over { expire::expire(rooms, consent).await? } else { consent };
        steps.push(step(rooms, &consent));
    }
    let server = rooms.workload_name(&parent.workload);
    let mut view = ParentView { server, steps, expires_at: parent.expires_at, is_over: false };
    view.is_over = rooms.clock.now() >= parent.expires_at && view.next().is_none() && !view.is_done();
    Ok(ParentVisit::Own(Box::new(view)))
}

fn step(rooms: &Rooms, consent: &Consent) -> Step {
    let spec = rooms.providers.get(&consent.provider);
    let provider = spec.map_or_else(|| consent.provider.to_string(), |spec| spec.display_name.clone());
    let scopes = spec.map_or_else(Vec::new, |spec| in_words(spec, &consent.scopes));
    let standing = match &consent.state {
        ConsentState::Pending => Standing::Open,
        ConsentState::Approved { .. }
        | ConsentState::Exchanging { .. }
        | ConsentState::AwaitingConfirmation { .. } => Standing::Begun,
        ConsentState::Completed { .. } => Standing::Done,
        ConsentState::Declined { .. } => Standing::Declined,
        ConsentState::Expired { .. } => Standing::Expired,
        ConsentState::Failed { .. } => Standing::Failed,
    };
    let handle = rooms.keys.consent_handle(&consent.id);
    Step { provider, reason: consent.reason, scopes, standing, handle }
}

/// Somebody else's visit is recorded, so often and no more (CO2).
async fn record_mismatch(rooms: &Rooms, visitor: &Visitor, parent: ParentPage) -> Result<(), Refusal> {
    if parent.mismatches >= MAX_MISMATCHES {
        return Ok(());
    }
    let mut draft = visitor.draft(rooms, EventKind::ConsentUserMismatch, Outcome::Denied);
    draft.reason = Some(Reason::ConsentUserMismatch);
    draft.workload = Some(parent.workload.clone());
    draft.detail.insert("parent", parent.id.as_str().into());
    let expected_version = parent.version;
    let row = rooms.row_key().tag(parent.count_mismatch());
    let effect = vec![Write::UpdateParent { row, expected_version }];
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, visitor.call.deadline).await {
        Ok(_) | Err(crate::audit::Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

/// The handle of the open parent page that leads through `consent`, the newest where there are several.
///
/// # Errors
/// The store's.
pub(super) async fn parent_of(rooms: &Rooms, consent: &Consent) -> Result<Option<String>, Refusal> {
    let open = open_parents(rooms, &consent.subject).await?;
    let leads = |page: &&ParentPage| page.workload == consent.workload && page.consents.contains(&consent.id);
    Ok(open.iter().find(leads).map(|page| rooms.keys.parent_handle(&page.id)))
}
