//! What the rules answered, for people and for programs.

use super::Rules;
use crate::{
    domain::{PolicyTrace, ProviderId, Reason},
    policy::{DEFAULT_DENY, Denial, ExplainedScope, NearMiss},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The answer to one question.
pub(super) struct Answer {
    pub(super) version: String,
    /// One for each scope, or one for a call.
    pub(super) lines: Vec<Line>,
}

/// The answer about one scope or call.
pub(super) struct Line {
    pub(super) about: String,
    pub(super) allowed: bool,
    pub(super) rules: Vec<String>,
    pub(super) max_ttl: Option<Duration>,
    long_lived: bool,
    reason: Option<&'static str>,
    message: Option<String>,
    near: Vec<NearMiss>,
}

impl From<ExplainedScope> for Line {
    fn from(scope: ExplainedScope) -> Self {
        Self {
            about: scope.scope.to_string(),
            allowed: scope.allowed,
            rules: scope.rules,
            max_ttl: scope.max_ttl,
            long_lived: scope.long_lived,
            reason: scope.reason.map(|reason| reason.as_str()),
            message: scope.message,
            near: scope.near,
        }
    }
}

impl Line {
    /// Refused by the configuration itself; no rule was asked.
    pub(super) fn refused(about: String, message: String) -> Self {
        let (rules, near, message) = (Vec::new(), Vec::new(), Some(message));
        Self { about, allowed: false, rules, max_ttl: None, long_lived: false, reason: None, message, near }
    }

    pub(super) fn about_call(action: &str, allowed: Result<Arc<PolicyTrace>, Denial>) -> Self {
        let mut line = Self::refused(action.to_owned(), String::new());
        match allowed {
            Ok(trace) => {
                line.allowed = true;
                line.rules = trace.rules.to_vec();
                line.message = None;
            }
            Err(denial) => {
                line.reason = Some(denial.reason.as_str());
                line.rules = denial.rules;
                line.message = Some(denial.message);
            }
        }
        line
    }

    /// The provider's tokens never expire.
    pub(super) fn with_endless_tokens(self, provider: &ProviderId) -> Self {
        if !self.allowed || self.long_lived {
            return self;
        }
        let message =
            format!("the tokens of {provider} never expire, and no rule that allows this has @long_lived");
        let reason = Some(Reason::TokenOutlivesGrant.as_str());
        Self { allowed: false, max_ttl: None, reason, message: Some(message), ..self }
    }

    fn words(&self, rules: &Rules) -> Vec<String> {
        let mut words = vec![format!("{}: {}", self.about, if self.allowed { "allowed" } else { "denied" })];
        if let Some(message) = &self.message {
            words.push(format!("  because {message}"));
        }
        words.extend(self.rules.iter().filter(|id| *id != DEFAULT_DENY).map(|id| rule(rules, id)));
        if let Some(ttl) = self.max_ttl {
            let long = if self.long_lived { ", also with tokens that live longer" } else { "" };
            words.push(format!("  for at most {} seconds{long}", ttl.as_secs()));
        }
        for near in &self.near {
            words.push(format!("  the permit {} does not allow it, because this does not hold:", near.rule));
            words.extend(near.unmet.iter().map(|part| format!("    {part}")));
        }
        if !self.allowed && self.rules == [DEFAULT_DENY] && self.near.is_empty() {
            words.push("  no permit is about this at all".to_owned());
        }
        words
    }

    fn json(&self) -> Value {
        let near = self.near.iter().map(|near| json!({ "rule": near.rule, "unmet": near.unmet }));
        json!({
            "about": self.about, "allowed": self.allowed, "rules": self.rules, "reason": self.reason, "message": self.message,
            "max_ttl_seconds": self.max_ttl.map(|ttl| ttl.as_secs()), "long_lived": self.long_lived,
            "near": near.collect::<Vec<_>>(),
        })
    }
}

/// What a rule is and where it stands.
fn rule(rules: &Rules, id: &str) -> String {
    let Some(rule) = rules.set.rule(id) else { return format!("  by the rule {id}") };
    let kind = if rule.permits { "permit" } else { "forbid" };
    let line = rule.line.map_or(String::new(), |line| format!(":{line}"));
    let says = rule.description.map_or(String::new(), |text| format!(": {text}"));
    format!("  by the {kind} {id} ({}{line}){says}", rule.source)
}

impl Answer {
    /// How long a grant of everything allowed may last: the shortest of its scopes' limits.
    pub(super) fn max_ttl(&self) -> Option<Duration> {
        self.lines.iter().filter_map(|line| line.max_ttl).min()
    }

    /// Every rule that decided something.
    pub(super) fn rules(&self) -> BTreeSet<&str> {
        self.lines.iter().flat_map(|line| line.rules.iter().map(String::as_str)).collect()
    }

    pub(super) fn words(&self, rules: &Rules) -> Vec<String> {
        self.lines.iter().flat_map(|line| line.words(rules)).collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({ "policy_version": self.version, "answers": self.lines.iter().map(Line::json).collect::<Vec<_>>() })
    }
}
