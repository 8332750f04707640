//! What the rules said, scope by scope. This is what is cached: it holds nothing of who asked.

use super::{
    cedar::{Asked, Unaskable},
    denial::DEFAULT_DENY,
    rule::Rule,
    set::PolicySet,
};
use crate::domain::{Reason, Scope, ScopeSet};
use cedar_policy::{Authorizer, Decision as Answer};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What the rules said about one thing asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Allowed {
        /// The permits, sorted.
        rules: Vec<String>,
        /// The longest `@max_ttl` among them; a permit without one counts as the default.
        max_ttl: Duration,
        /// One of them allows tokens that outlive the grant.
        long_lived: bool,
    },
    Denied {
        /// Forbids, broken rules or [`DEFAULT_DENY`], sorted. Never empty.
        rules: Vec<String>,
        reason: Reason,
        message: String,
    },
}

impl Ruling {
    pub(super) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// A rule says no, or might have: not merely that no rule says yes.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Denied { rules, .. } if rules.iter().any(|rule| rule != DEFAULT_DENY))
    }

    pub(super) fn rules(&self) -> &[String] {
        match self {
            Self::Allowed { rules, .. } | Self::Denied { rules, .. } => rules,
        }
    }
}

/// What the rules said about every scope asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    by_scope: BTreeMap<Scope, Ruling>,
    allowed: ScopeSet,
    rules: Arc<Vec<String>>,
}

impl Decision {
    /// The rulings, by scope.
    pub(super) fn by_scope(&self) -> &BTreeMap<Scope, Ruling> {
        &self.by_scope
    }

    /// The scopes that are allowed.
    pub(super) fn allowed(&self) -> &ScopeSet {
        &self.allowed
    }

    /// Every rule that decided, sorted.
    pub(super) fn rules(&self) -> &Arc<Vec<String>> {
        &self.rules
    }
}

impl FromIterator<(Scope, Ruling)> for Decision {
    fn from_iter<I: IntoIterator<Item = (Scope, Ruling)>>(rulings: I) -> Self {
        let by_scope: BTreeMap<Scope, Ruling> = rulings.into_iter().collect();
        let allowed =
            by_scope.iter().filter(|(_, ruling)| ruling.is_allowed()).map(|(scope, _)| scope.clone());
        let rules: BTreeSet<&String> = by_scope.values().flat_map(Ruling::rules).collect();
        let rules = Arc::new(rules.into_iter().cloned().collect());
        Self { allowed: allowed.collect(), rules, by_scope }
    }
}

/// Puts one question to `policies`, the rules of `set` or their outlook. Anything that goes wrong on the way is a no.
pub(super) fn rule_on(
    set: &PolicySet,
    policies: &cedar_policy::PolicySet,
    authorizer: &Authorizer,
    default_ttl: Duration,
    asked: Result<Asked, Unaskable>,
) -> Ruling {
    let Ok(Asked { request, entities }) = asked else {
        return broken(Vec::new());
    };
    let response = authorizer.is_authorized(&request, policies, &entities);
    let diagnostics = response.diagnostics();
    // Cedar skips a rule that cannot be evaluated, so a broken forbid would allow (PO1).
    let failed: Vec<_> = diagnostics.errors().map(error_id).collect();
    if !failed.is_empty() {
        return broken(failed);
    }
    let mut rules: Vec<_> = diagnostics.reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
    rules.sort();
    match response.decision() {
        Answer::Allow => allowed(set, default_ttl, rules),
        Answer::Deny => denied(set, rules),
    }
}

fn error_id(error: &cedar_policy::AuthorizationError) -> String {
    match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
            AsRef::<str>::as_ref(error.policy_id()).to_owned()
        }
    }
}

fn broken(mut rules: Vec<String>) -> Ruling {
    if rules.is_empty() {
        rules.push(DEFAULT_DENY.to_owned());
    }
    rules.sort();
    let message = "a rule could not be evaluated, so the answer is no".to_owned();
    Ruling::Denied { rules, reason: Reason::PolicyError, message }
}

fn allowed(set: &PolicySet, default_ttl: Duration, rules: Vec<String>) -> Ruling {
    let found: Vec<&Rule> = rules.iter().filter_map(|id| set.rules.get(id)).collect();
    if found.is_empty() || found.len() != rules.len() {
        return broken(rules);
    }
    let max_ttl = found.iter().map(|rule| rule.max_ttl.unwrap_or(default_ttl)).max().unwrap_or_default();
    let long_lived = found.iter().any(|rule| rule.long_lived);
    Ruling::Allowed { rules, max_ttl, long_lived }
}

fn denied(set: &PolicySet, mut rules: Vec<String>) -> Ruling {
    let said = rules.iter().find_map(|id| set.rules.get(id)?.reason.clone());
    let message = said.unwrap_or_else(|| match rules.first() {
        Some(rule) => format!("rule {rule} forbids it"),
        None => "no rule allows it".to_owned(),
    });
    if rules.is_empty() {
        rules.push(DEFAULT_DENY.to_owned());
    }
    Ruling::Denied { rules, reason: Reason::PolicyDenied, message }
}
