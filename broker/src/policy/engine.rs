//! The decider: rules, and a cache of what they said.

use super::{
    beyond::Beyond,
    cache::{self, Decisions},
    cedar::{self, ScopeAction},
    decision::{self, Decision, Ruling},
    question::Question,
    set::PolicySet,
    verdict::Verdict,
};
use crate::domain::ScopeSet;
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
    pub(super) authorizer: Authorizer,
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
        self.set.load().version().to_string()
    }

    /// Decides scope by scope (PO4). Never fails: what cannot be decided is denied.
    pub fn decide(&self, question: &Question<'_>) -> Verdict {
        let set = self.set.load_full();
        let decision = self.decision(&set, ScopeAction::Issue, question);
        Verdict::new(question, decision, set, self.settings.max_token_outlive)
    }

    /// What the rules of `verdict` say about what `token` carries beyond that verdict within `approved` (GR1).
    /// `question` is the one `verdict` answers. Never fails: what cannot be decided is denied.
    pub fn beyond(
        &self,
        verdict: &Verdict,
        question: &Question<'_>,
        approved: &ScopeSet,
        token: &ScopeSet,
    ) -> Beyond {
        let scopes = verdict.extras(approved, token);
        if scopes.is_empty() {
            return Beyond::nothing(verdict);
        }
        let question = Question { scopes: &scopes, ..*question };
        let decide = |action| self.decision(&verdict.set, action, &question);
        Beyond::new(&question, &verdict.set, decide(ScopeAction::Issue), decide(ScopeAction::HoldWider))
    }

    fn decision(&self, set: &PolicySet, action: ScopeAction, question: &Question<'_>) -> Arc<Decision> {
        let key = cache::key(set.version(), action, &set.mentions, question);
        let known = self.decisions.get(&key);
        self.metrics.lookup("policy", known.is_some());
        known.unwrap_or_else(|| {
            let decision = Arc::new(self.evaluate(set, action, question));
            self.decisions.insert(key, &decision);
            decision
        })
    }

    fn evaluate(&self, set: &PolicySet, action: ScopeAction, question: &Question<'_>) -> Decision {
        let ruling = |scope| self.ruling(set, cedar::about_scope(action, question, scope, &set.schema));
        question.scopes.iter().map(|scope| (scope.clone(), ruling(scope))).collect()
    }

    pub(super) fn ruling(&self, set: &PolicySet, asked: Result<cedar::Asked, cedar::Unaskable>) -> Ruling {
        decision::rule_on(set, &set.cedar, &self.authorizer, self.settings.default_max_ttl, asked)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({})", self.set.load().version())
    }
}
