//! The decider: rules, and a cache of what they said.

use super::{
    cache::{self, Decisions},
    cedar,
    decision::{self, Decision, Ruling},
    question::Question,
    set::PolicySet,
    verdict::Verdict,
};
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use cedar_policy::Authorizer;
use std::{fmt, sync::Arc, time::Duration};

/// What rules do not say themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a grant may last when its permits have no `@max_ttl`.
    pub default_max_ttl: Duration,
    /// How long a token may outlive its grant without `@long_lived("allow")` (GR10).
    pub max_token_outlive: Duration,
    /// How many decisions are remembered.
    pub cache_entries: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_max_ttl: Duration::from_secs(3600),
            max_token_outlive: Duration::from_secs(24 * 3600),
            cache_entries: 10_000,
        }
    }
}

/// Decides by the loaded rules.
pub struct Policy {
    pub(super) set: ArcSwap<PolicySet>,
    pub(super) settings: Settings,
    authorizer: Authorizer,
    decisions: Decisions,
    metrics: Metrics,
}

impl Policy {
    /// Decides by `set`.
    pub fn new(set: PolicySet, settings: Settings) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            settings,
            authorizer: Authorizer::new(),
            decisions: Decisions::with_capacity(settings.cache_entries),
            metrics: Metrics::default(),
        }
    }

    /// Counts its cache's hits in these metrics.
    #[must_use]
    pub fn metered(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Decides by `set` from now on, all at once (PO5). Verdicts already given keep their version.
    pub fn replace(&self, set: PolicySet) {
        self.set.store(Arc::new(set));
        self.decisions.clear();
    }

    /// The version of the rules in force.
    pub fn version(&self) -> String {
        self.set.load().version().to_owned()
    }

    /// Decides scope by scope (PO4). Never fails: what cannot be decided is denied.
    pub fn decide(&self, question: &Question<'_>) -> Verdict {
        let set = self.set.load();
        let key = cache::key(set.version(), &set.mentions, question);
        let known = self.decisions.get(&key);
        self.metrics.lookup("policy", known.is_some());
        let decision = known.unwrap_or_else(|| {
            let decision = Arc::new(self.evaluate(&set, question));
            self.decisions.insert(key, &decision);
            decision
        });
        Verdict::new(question, decision, set.version(), self.settings.max_token_outlive)
    }

    fn evaluate(&self, set: &PolicySet, question: &Question<'_>) -> Decision {
        let ruling = |scope| self.ruling(set, cedar::issue(question, scope, &set.schema));
        question.scopes.iter().map(|scope| (scope.clone(), ruling(scope))).collect()
    }

    pub(super) fn ruling(&self, set: &PolicySet, asked: Result<cedar::Asked, cedar::Unaskable>) -> Ruling {
        decision::rule_on(set, &self.authorizer, self.settings.default_max_ttl, asked)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({})", self.set.load().version())
    }
}
