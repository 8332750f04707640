//! A signed-in person on the pages.

use super::{Call, Rooms};
use crate::domain::{Consent, EventDraft, EventKind, Names, Outcome, WebSession};

/// A person, their session, and this request.
#[derive(Clone)]
pub struct Visitor {
    /// The checked, unexpired session.
    pub session: WebSession,
    /// SHA-256 of the browser-binding cookie, if the browser has one.
    pub browser_hash: Option<[u8; 32]>,
    /// Facts of the request.
    pub call: Call,
}

impl Visitor {
    /// An event about this visitor.
    pub fn draft(&self, rooms: &Rooms, kind: EventKind, outcome: Outcome) -> EventDraft {
        let draft = self.call.draft(&*rooms.rng, kind, outcome);
        self.call.about(draft, &self.session.subject, Some(&self.session.label))
    }

    /// An event about this visitor and a consent of theirs.
    pub fn draft_about(
        &self,
        rooms: &Rooms,
        kind: EventKind,
        outcome: Outcome,
        consent: &Consent,
    ) -> EventDraft {
        let mut draft = self.draft(rooms, kind, outcome);
        draft.workload = Some(consent.workload.clone());
        draft.provider = Some(consent.provider.clone());
        draft.consent = Some(consent.id.clone());
        draft.connection.clone_from(&consent.connection);
        draft.scopes_asked = consent.scopes.clone();
        draft.tool = consent.tool.as_str().into();
        draft.purpose = consent.purpose.as_str().into();
        draft
    }

    /// What a step of a consent relies on.
    pub fn names(&self, consent: &Consent) -> Names {
        Names {
            tenant: Some(self.session.subject.tenant.clone()),
            subject: Some(self.session.subject.clone()),
            issuer: Some(self.session.issuer.clone()),
            workload: Some(consent.workload.clone()),
            provider: Some(consent.provider.clone()),
            connection: None,
            approval: None,
        }
    }
}
