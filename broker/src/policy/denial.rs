//! Policy's no, before it is written down.

use crate::domain::{ConsentReason, PolicyTrace, Reason};
use std::{fmt, sync::Arc};

/// The rule named when no rule allowed something.
pub const DEFAULT_DENY: &str = "default-deny";

/// Policy's no.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a denial is recorded and answered"]
pub struct Denial {
    /// Why, for programs.
    pub reason: Reason,
    /// The rules that decided, sorted: forbids, rules that could not be evaluated, or [`DEFAULT_DENY`]. Empty when
    /// not a rule but a state stands in the way.
    pub rules: Vec<String>,
    /// One sentence for people; no personal data and no secret.
    pub message: String,
    /// The consent that would mend it, if one would: then the caller is answered with a consent, not with an error.
    pub consent: Option<ConsentReason>,
    /// What policy saw, for the audit log.
    pub policy: Arc<PolicyTrace>,
}

impl Denial {
    pub(super) fn new(reason: Reason, message: impl Into<String>, policy: &Arc<PolicyTrace>) -> Self {
        Self { reason, rules: Vec::new(), message: message.into(), consent: None, policy: Arc::clone(policy) }
    }

    pub(super) fn mended_by(mut self, consent: ConsentReason) -> Self {
        self.consent = Some(consent);
        self
    }

    pub(super) fn by_rules(mut self, rules: Vec<String>) -> Self {
        self.rules = rules;
        self
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

impl std::error::Error for Denial {}
