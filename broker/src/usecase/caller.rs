//! Who is calling, as the gate established it.

use crate::{
    audit::Deadline,
    domain::{EventDraft, EventId, EventKind, Names, Outcome, Rng, Subject, WorkloadId},
    identity::{VerifiedAssertion, VerifiedWorkload},
};
use std::net::IpAddr;

/// An authenticated workload's call.
#[derive(Clone)]
pub struct Caller {
    /// The workload, by its own credential.
    pub workload: VerifiedWorkload,
    /// Facts of the call.
    pub call: Call,
}

/// Facts of one call.
#[derive(Clone)]
pub struct Call {
    /// The network address it came from.
    pub client_address: Option<IpAddr>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// When the caller gives up.
    pub deadline: Deadline,
}

impl Caller {
    /// The workload's name.
    pub fn id(&self) -> &WorkloadId {
        self.workload.id()
    }

    /// What the call relies on before anything about a connection is known.
    pub fn names(&self, assertion: &VerifiedAssertion) -> Names {
        Names {
            tenant: Some(assertion.subject().tenant.clone()),
            subject: Some(assertion.subject().clone()),
            issuer: Some(assertion.issuer().to_owned()),
            workload: Some(self.id().clone()),
            ..Names::default()
        }
    }

    /// An event about this call.
    pub fn draft(&self, rng: &dyn Rng, kind: EventKind, outcome: Outcome) -> EventDraft {
        let mut draft = self.call.draft(rng, kind, outcome);
        draft.workload = Some(self.id().clone());
        draft
    }
}

impl Call {
    /// An event about this call.
    pub fn draft(&self, rng: &dyn Rng, kind: EventKind, outcome: Outcome) -> EventDraft {
        let mut draft = EventDraft::new(EventId::random(rng), kind, outcome);
        draft.trace_id = self.trace_id.clone();
        draft
    }

    /// Puts a person into an event: the pseudonym and label, and the address the call came from.
    #[must_use]
    pub fn about(&self, mut draft: EventDraft, subject: &Subject, label: Option<&str>) -> EventDraft {
        self.put(&mut draft, subject, label);
        draft
    }

    /// The same in place.
    pub fn put(&self, draft: &mut EventDraft, subject: &Subject, label: Option<&str>) {
        draft.tenant = Some(subject.tenant.clone());
        draft.subject = Some(subject.clone());
        draft.personal.subject_label = label.map(str::to_owned);
        draft.personal.client_address = self.client_address.map(|address| address.to_string());
    }
}
