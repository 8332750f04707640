//! A token that can do more than is granted: who may hold it (GR1, promise 7).

use super::{
    decision::{Decision, Ruling},
    denial::Denial,
    question::Question,
    set::PolicySet,
    verdict::Verdict,
};
use crate::domain::{ConsentReason, PolicyTrace, ProviderId, Reason, Scope, ScopeSet, Subject, WorkloadId};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What rules say about the scopes that a token carries beyond a verdict. Made by `Policy::beyond`; counts only for
/// the verdict it was made for.
#[derive(Debug)]
pub struct Beyond {
    subject: Subject,
    workload: WorkloadId,
    provider: ProviderId,
    version: String,
    issue: Arc<Decision>,
    hold: Arc<Decision>,
}

/// Scopes that a workload holds only because rules let it, with what they said.
#[derive(Debug, Default)]
pub struct Held<'a>(BTreeMap<&'a Scope, &'a Ruling>);

/// How it stands with one scope that a token carries and nobody was granted.
#[derive(Debug)]
pub(super) enum Standing<'a> {
    /// Approved for this workload, and allowed to it.
    Own,
    /// A rule lets it be held.
    Held(&'a Ruling),
    /// A rule forbids it, or could not be evaluated: nothing helps.
    Forbidden(&'a Ruling),
    /// It is allowed; only the owner's word is missing.
    Unapproved,
    /// No rule allows it.
    NotAllowed,
}

impl<'a> Standing<'a> {
    pub(super) fn of(issue: Option<&'a Ruling>, hold: Option<&'a Ruling>, approved: bool) -> Self {
        // A block beats an allowance, whichever of the two actions it is on.
        if let Some(ruling) = [issue, hold].into_iter().flatten().find(|ruling| ruling.is_forbidden()) {
            return Self::Forbidden(ruling);
        }
        let allowed = issue.is_some_and(Ruling::is_allowed);
        match hold.filter(|ruling| ruling.is_allowed()) {
            _ if allowed && approved => Self::Own,
            Some(ruling) => Self::Held(ruling),
            None if allowed => Self::Unapproved,
            None => Self::NotAllowed,
        }
    }
}

impl Beyond {
    pub(super) fn new(
        question: &Question<'_>,
        set: &PolicySet,
        issue: Arc<Decision>,
        hold: Arc<Decision>,
    ) -> Self {
        Self {
            subject: question.subject.clone(),
            workload: question.workload.clone(),
            provider: question.provider.id.clone(),
            version: set.version().to_owned(),
            issue,
            hold,
        }
    }

    fn is_about(&self, verdict: &Verdict) -> bool {
        self.subject == verdict.subject
            && self.workload == verdict.workload
            && self.provider == verdict.provider
            && self.version == verdict.trace.version
    }
}

impl Verdict {
    /// What `token` carries beyond what can be granted within `approved`. Technical scopes (such as offline_access)
    /// are never granted and never approved one by one, so they do not count.
    pub(super) fn extras(&self, approved: &ScopeSet, token: &ScopeSet) -> ScopeSet {
        token.minus(&self.technical_scopes).minus(&self.allowed().intersection(approved))
    }

    /// Whether this workload may be handed a token that carries `token`, given what was `approved` for it.
    ///
    /// # Errors
    /// [`Denial`] naming the rules that forbid it; or one that says that no rule allows it; or one with
    /// [`ConsentReason::WiderThanApproved`] where policy allows every scope and only the owner's approval is missing.
    pub fn may_hold<'a>(
        &self,
        approved: &ScopeSet,
        token: &ScopeSet,
        beyond: &'a Beyond,
    ) -> Result<Held<'a>, Denial> {
        if !beyond.is_about(self) {
            return Err(self.no(Reason::NotFound, "there is no such connection"));
        }
        let (mut held, mut forbidden) = (Held::default(), Vec::new());
        let (mut unapproved, mut not_allowed) = (false, Vec::new());
        let extras = self.extras(approved, token);
        for scope in extras.iter() {
            match Standing::of(beyond.issue.get(scope), beyond.hold.get(scope), approved.contains(scope)) {
                Standing::Own => {}
                Standing::Held(ruling) => held.put(beyond, scope, ruling),
                Standing::Forbidden(ruling) => forbidden.push(ruling),
                Standing::Unapproved => unapproved = true,
                Standing::NotAllowed => not_allowed.push(scope.as_str()),
            }
        }
        if !forbidden.is_empty() {
            return Err(self.forbidden(&forbidden));
        }
        if !not_allowed.is_empty() {
            let what = "the provider can only give a token that does more than policy allows this server";
            let message = format!("{what}: {}", not_allowed.join(" "));
            let rules = vec![super::DEFAULT_DENY.to_owned()];
            return Err(Denial::new(Reason::PolicyDenied, message, &self.traced(&rules)).by_rules(rules));
        }
        if unapproved {
            let message = "the token can do more than was approved for this server";
            return Err(self.no(Reason::PolicyDenied, message).mended_by(ConsentReason::WiderThanApproved));
        }
        Ok(held)
    }

    fn forbidden(&self, rulings: &[&Ruling]) -> Denial {
        let rules: BTreeSet<String> = rulings.iter().flat_map(|ruling| ruling.rules()).cloned().collect();
        let rules: Vec<String> = rules.into_iter().collect();
        let said = rulings.iter().filter_map(|ruling| match ruling {
            Ruling::Denied { reason, message, .. } => Some((*reason, message.clone())),
            Ruling::Allowed { .. } => None,
        });
        let broken = said.clone().find(|(reason, _)| *reason == Reason::PolicyError);
        let (reason, message) =
            broken.or_else(|| said.clone().next()).unwrap_or((Reason::PolicyDenied, String::new()));
        Denial::new(reason, message, &self.traced(&rules)).by_rules(rules)
    }

    /// The trace with further rules that decided.
    fn traced(&self, rules: &[String]) -> PolicyTrace {
        let mut trace = self.trace.clone();
        add_rules(&mut trace, rules);
        trace
    }
}

impl<'a> Held<'a> {
    fn put(&mut self, beyond: &'a Beyond, scope: &Scope, ruling: &'a Ruling) {
        if let Some((scope, _)) = beyond.hold.get_key_value(scope) {
            self.0.insert(scope, ruling);
        }
    }

    /// The scopes.
    pub fn scopes(&self) -> ScopeSet {
        self.0.keys().map(|scope| (*scope).clone()).collect()
    }

    /// A grant's limit, shortened by what the rules say about what is held with it.
    pub(super) fn bound(&self, limit: (Duration, bool)) -> (Duration, bool) {
        self.0.values().fold(limit, |(ttl, all), ruling| match ruling {
            Ruling::Allowed { max_ttl, long_lived, .. } => (ttl.min(*max_ttl), all && *long_lived),
            Ruling::Denied { .. } => (Duration::ZERO, false),
        })
    }

    /// Writes down what is held and which rules let it be.
    pub(super) fn note(&self, trace: &mut PolicyTrace) {
        if self.0.is_empty() {
            return;
        }
        let by_scope: BTreeMap<&str, &[String]> =
            self.0.iter().map(|(scope, ruling)| (scope.as_str(), ruling.rules())).collect();
        trace.inputs.insert("held_wider".to_owned(), json!(by_scope));
        for ruling in self.0.values() {
            add_rules(trace, ruling.rules());
        }
    }
}

fn add_rules(trace: &mut PolicyTrace, rules: &[String]) {
    trace.rules.extend(rules.iter().cloned());
    trace.rules.sort();
    trace.rules.dedup();
}
