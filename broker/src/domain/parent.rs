//! A parent page: one link that leads a person through several consents (GR6). It allows nothing by itself.

use super::{Authority, Canonical, ConsentId, ParentId, Subject, Timestamp, WorkloadId};

/// One link for several consents of one person, asked for by one workload in one call.
#[derive(Clone, Debug)]
pub struct ParentPage {
    /// Its id; the link's handle is derived from it.
    pub id: ParentId,
    /// For whom, and for nobody else (promise 4).
    pub subject: Subject,
    /// Who asked.
    pub workload: WorkloadId,
    /// What it leads through, in the order asked for; at least one, none twice.
    pub consents: Vec<ConsentId>,
    /// When it was made, UTC.
    pub created_at: Timestamp,
    /// When it ends, UTC: with the last of its consents, as they stood when it was made.
    pub expires_at: Timestamp,
    /// Guards updates: every one adds one.
    pub version: i64,
    /// How often somebody else opened the link (CO2).
    pub mismatches: i64,
}

impl ParentPage {
    /// What it leads through, as stored: ids joined by single spaces.
    pub fn consents_text(&self) -> String {
        self.consents.iter().map(ConsentId::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`Self::consents_text`] wrote.
    pub fn parse_consents(text: &str) -> Option<Vec<ConsentId>> {
        text.split(' ').map(|id| ConsentId::parse(id).ok()).collect()
    }

    /// Whether it is the page for exactly these consents of one workload, in any order.
    pub fn is_for(&self, workload: &WorkloadId, consents: &[ConsentId]) -> bool {
        self.workload == *workload
            && self.consents.len() == consents.len()
            && consents.iter().all(|id| self.consents.contains(id))
    }

    /// Somebody else opened the link.
    #[must_use]
    pub fn count_mismatch(mut self) -> Self {
        self.version += 1;
        self.mismatches += 1;
        self
    }
}

impl Authority for ParentPage {
    const TABLE: &'static str = "parent_pages";

    fn covered(&self, to: &mut Canonical) {
        to.text(self.id.as_str());
        self.subject.encode(to);
        to.text(self.workload.as_str())
            .text(&self.consents_text())
            .number(self.created_at.micros())
            .number(self.expires_at.micros())
            .number(self.version)
            .number(self.mismatches);
    }
}
