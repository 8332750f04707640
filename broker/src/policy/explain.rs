//! Why the answer is what it is, for people who write rules (PO6). Decides by the same rules on the same way as a grant, and makes no
//! permit.

use super::{
    cedar::{self, ScopeAction},
    decision::Ruling,
    engine::Policy,
    near,
    question::Question,
    set::PolicySet,
};
use crate::domain::{Reason, Scope};
use std::time::Duration;

/// What is asked about each scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeQuestion {
    /// May it be granted?
    Issue,
    /// May a token that carries it be handed out, though it is not granted?
    HoldWider,
}

impl ScopeQuestion {
    fn action(self) -> ScopeAction {
        match self {
            Self::Issue => ScopeAction::Issue,
            Self::HoldWider => ScopeAction::HoldWider,
        }
    }
}

/// The answer to a question, scope by scope.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The version of the rules.
    pub version: String,
    /// What they say about every scope asked for, in order.
    pub scopes: Vec<ExplainedScope>,
}

/// The answer about one scope.
#[derive(Clone, Debug)]
pub struct ExplainedScope {
    /// Which.
    pub scope: Scope,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rules that decided, sorted; [`super::DEFAULT_DENY`] when none allows it.
    pub rules: Vec<String>,
    /// How long a grant may last, when it is allowed.
    pub max_ttl: Option<Duration>,
    /// Whether tokens that outlive their grant are allowed.
    pub long_lived: bool,
    /// Why not, for programs.
    pub reason: Option<Reason>,
    /// Why not, in the words the caller is told.
    pub message: Option<String>,
    /// Permits about this action that do not allow it, with what is missing: the nearest first.
    pub near: Vec<NearMiss>,
}

/// A permit that would allow something if its conditions held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Its id.
    pub rule: String,
    /// The parts of its conditions that do not hold, in Cedar.
    pub unmet: Vec<String>,
}

/// A rule, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleShown {
    /// Whether it is a permit.
    pub permits: bool,
    /// The file it stands in.
    pub source: String,
    /// The line it begins at, counted from 1.
    pub line: Option<usize>,
    /// Its `@description`.
    pub description: Option<String>,
    /// Its `@reason`.
    pub reason: Option<String>,
}

impl PolicySet {
    /// The rule with this id.
    pub fn rule(&self, id: &str) -> Option<RuleShown> {
        let (rule, place) = (self.rules.get(id)?, self.places.get(id)?);
        Some(RuleShown {
            permits: rule.permits,
            source: place.source.clone(),
            line: place.line,
            description: rule.description.clone(),
            reason: rule.reason.clone(),
        })
    }
}

impl Policy {
    /// What the rules say to a question, and which of them.
    pub fn explain(&self, asked: ScopeQuestion, question: &Question<'_>) -> Explained {
        let set = self.set.load();
        let scopes =
            question.scopes.iter().map(|scope| self.explain_scope(&set, asked.action(), question, scope));
        Explained { version: set.version().to_string(), scopes: scopes.collect() }
    }

    fn explain_scope(
        &self,
        set: &PolicySet,
        action: ScopeAction,
        question: &Question<'_>,
        scope: &Scope,
    ) -> ExplainedScope {
        let ruling = self.ruling(set, cedar::about_scope(action, question, scope, &set.schema));
        let near = match (&ruling, cedar::about_scope(action, question, scope, &set.schema)) {
            // A forbid stands whatever permits say.
            (Ruling::Denied { .. }, Ok(asked)) if !ruling.is_forbidden() => {
                near::misses(set, &self.authorizer, &asked)
            }
            _ => Vec::new(),
        };
        let rules = ruling.rules().to_vec();
        let (scope, allowed) = (scope.clone(), ruling.is_allowed());
        match ruling {
            Ruling::Allowed { max_ttl, long_lived, .. } => ExplainedScope {
                scope,
                allowed,
                rules,
                max_ttl: Some(max_ttl),
                long_lived,
                reason: None,
                message: None,
                near,
            },
            Ruling::Denied { reason, message, .. } => ExplainedScope {
                scope,
                allowed,
                rules,
                max_ttl: None,
                long_lived: false,
                reason: Some(reason),
                message: Some(message),
                near,
            },
        }
    }
}
