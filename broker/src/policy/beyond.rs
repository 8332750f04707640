//! A token that can do more than is granted: who may hold it (GR1, promise 7).

use super::{
    decision::{Decision, Ruling},
    denial::Denial,
    question::Question,
    set::PolicySet,
    verdict::Verdict,
};
use crate::domain::{ConsentReason, Input, PolicyTrace, Reason, Scope, ScopeSet};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What rules say about the scopes that a token carries beyond a verdict. Made by `Policy::beyond`; counts only for a
/// verdict by the same rules for the same asker: person, workload, provider and all else that was said but the scopes
/// and the time of the call. A scope it does not know is one that no rule allows.
#[derive(Debug)]
pub struct Beyond {
    asker: [u8; 32],
    version: Arc<str>,
    issue: Arc<Decision>,
    hold: Arc<Decision>,
}

/// What a workload holds along with what it is granted, with what rules said about it.
#[derive(Debug, Default)]
pub struct Held<'a> {
    /// Scopes that it holds only because rules let it.
    wider: BTreeMap<&'a Scope, &'a Ruling>,
    /// What rules say about those that it could have been granted itself, had it asked.
    own: Vec<&'a Ruling>,
}

/// How it stands with one scope that a token carries and nobody was granted.
#[derive(Debug)]
pub(super) enum Standing<'a> {
    /// Approved for this workload, and allowed to it.
    Own(&'a Ruling),
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
        let issue = issue.filter(|ruling| ruling.is_allowed());
        match (issue, hold.filter(|ruling| ruling.is_allowed())) {
            (Some(ruling), _) if approved => Self::Own(ruling),
            (_, Some(ruling)) => Self::Held(ruling),
            (Some(_), None) => Self::Unapproved,
            (None, None) => Self::NotAllowed,
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
        Self { asker: question.asker(), version: set.version().clone(), issue, hold }
    }

    /// For a token that carries nothing beyond `verdict`: no rule is needed, and none is known.
    pub(super) fn nothing(verdict: &Verdict) -> Self {
        let version = verdict.trace.version.clone();
        Self { asker: verdict.asker, version, issue: Arc::default(), hold: Arc::default() }
    }

    fn standing(&self, scope: &Scope, approved: &ScopeSet) -> Standing<'_> {
        let (issue, hold) = (self.issue.by_scope(), self.hold.by_scope());
        Standing::of(issue.get(scope), hold.get(scope), approved.contains(scope))
    }

    fn is_about(&self, verdict: &Verdict) -> bool {
        self.asker == verdict.asker && self.version == verdict.trace.version
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
            match beyond.standing(scope, approved) {
                Standing::Own(ruling) => held.own.push(ruling),
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
    fn traced(&self, rules: &[String]) -> Arc<PolicyTrace> {
        let mut trace = PolicyTrace::clone(&self.trace);
        trace.add_rules(rules);
        Arc::new(trace)
    }
}

impl<'a> Held<'a> {
    fn put(&mut self, beyond: &'a Beyond, scope: &Scope, ruling: &'a Ruling) {
        if let Some((scope, _)) = beyond.hold.by_scope().get_key_value(scope) {
            self.wider.insert(scope, ruling);
        }
    }

    /// The scopes that only rules let be held.
    pub fn scopes(&self) -> ScopeSet {
        self.wider.keys().map(|scope| (*scope).clone()).collect()
    }

    fn rulings(&self) -> impl Iterator<Item = &'a Ruling> {
        self.wider.values().chain(&self.own).copied()
    }

    /// A grant's limit, shortened by what the rules say about what is held with it: whoever asks for less than the
    /// token can do gets it no longer than for asking for all of it.
    pub(super) fn bound(&self, limit: (Duration, bool)) -> (Duration, bool) {
        self.rulings().fold(limit, |(ttl, all), ruling| match ruling {
            Ruling::Allowed { max_ttl, long_lived, .. } => (ttl.min(*max_ttl), all && *long_lived),
            Ruling::Denied { .. } => (Duration::ZERO, false),
        })
    }

    /// Writes down what is held and which rules let it be.
    pub(super) fn note(&self, trace: &mut PolicyTrace) {
        if !self.wider.is_empty() {
            let by_scope: BTreeMap<&str, &[String]> =
                self.wider.iter().map(|(scope, ruling)| (scope.as_str(), ruling.rules())).collect();
            trace.inputs.insert("held_wider", Input::Other(json!(by_scope)));
        }
        for ruling in self.rulings() {
            trace.add_rules(ruling.rules());
        }
    }
}
