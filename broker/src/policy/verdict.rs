//! What was decided about a question, with what policy saw.

use super::{
    decision::{Decision, Ruling},
    denial::Denial,
    question::Question,
    set::PolicySet,
};
use crate::domain::{PolicyTrace, ProviderId, Reason, Scope, ScopeSet, Subject, Timestamp, WorkloadId};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A decision about one question. Consumed by `Verdict::issue`; not clonable.
#[derive(Debug)]
pub struct Verdict {
    pub(super) subject: Subject,
    pub(super) workload: WorkloadId,
    pub(super) provider: ProviderId,
    pub(super) asker: [u8; 32],
    pub(super) technical_scopes: ScopeSet,
    pub(super) asked: ScopeSet,
    pub(super) requested_ttl: Option<Duration>,
    pub(super) max_token_outlive: Duration,
    pub(super) decision: Arc<Decision>,
    pub(super) trace: Arc<PolicyTrace>,
    /// The rules that decided: also what is asked later is decided by these.
    pub(super) set: Arc<PolicySet>,
    allowed: ScopeSet,
}

/// One scope that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeniedScope<'a> {
    /// The scope.
    pub scope: &'a Scope,
    /// The first rule that refused it, or [`super::DEFAULT_DENY`].
    pub rule: &'a str,
    /// `POLICY_DENIED` or `POLICY_ERROR`.
    pub reason: Reason,
    /// One sentence for people.
    pub message: &'a str,
}

impl Verdict {
    pub(super) fn new(
        question: &Question<'_>,
        decision: Arc<Decision>,
        set: Arc<PolicySet>,
        max_token_outlive: Duration,
    ) -> Self {
        let is_allowed = |ruling: &Ruling| matches!(ruling, Ruling::Allowed { .. });
        let allowed =
            decision.iter().filter(|(_, r)| is_allowed(r)).map(|(scope, _)| scope.clone()).collect();
        let rules: BTreeSet<String> = decision.values().flat_map(Ruling::rules).cloned().collect();
        let trace = PolicyTrace {
            version: set.version().to_owned(),
            rules: rules.into_iter().collect(),
            inputs: inputs(question),
        };
        Self {
            subject: question.subject.clone(),
            workload: question.workload.clone(),
            provider: question.provider.id.clone(),
            asker: question.asker(),
            technical_scopes: question.provider.technical_scopes.clone(),
            asked: question.scopes.clone(),
            requested_ttl: question.requested_ttl,
            max_token_outlive,
            decision,
            trace: Arc::new(trace),
            set,
            allowed,
        }
    }

    /// The scopes asked for that are allowed.
    pub fn allowed(&self) -> &ScopeSet {
        &self.allowed
    }

    /// The scopes asked for that are refused, in order.
    pub fn denied(&self) -> impl Iterator<Item = DeniedScope<'_>> {
        self.decision.iter().filter_map(|(scope, ruling)| match ruling {
            Ruling::Denied { rules, reason, message } => Some(DeniedScope {
                scope,
                rule: rules.first().map_or(super::DEFAULT_DENY, String::as_str),
                reason: *reason,
                message,
            }),
            Ruling::Allowed { .. } => None,
        })
    }

    /// How long a grant of everything allowed may last by policy: the smallest of its scopes' limits. Zero when
    /// nothing is allowed.
    pub fn max_ttl(&self) -> Duration {
        self.limit(&self.allowed).0
    }

    /// What policy saw and which rules decided.
    pub fn trace(&self) -> &Arc<PolicyTrace> {
        &self.trace
    }

    /// The denial, when nothing asked for is allowed (PO2, PO4). A partly allowed question is no denial.
    pub fn denial(&self) -> Option<Denial> {
        if !self.allowed.is_empty() {
            return None;
        }
        let denied: Vec<_> = self.denied().collect();
        let broken = denied.iter().find(|d| d.reason == Reason::PolicyError);
        let forbidden = denied.iter().find(|d| d.rule != super::DEFAULT_DENY);
        let (reason, message) = match broken.or(forbidden) {
            Some(first) => (first.reason, first.message.to_owned()),
            None => (Reason::PolicyDenied, self.nobody_allows()),
        };
        Some(Denial::new(reason, message, &self.trace).by_rules(self.trace.rules.clone()))
    }

    fn nobody_allows(&self) -> String {
        format!("no rule allows this user to use {} with {}", self.provider, self.workload)
    }

    /// The limit of a grant of `scopes`, and whether every one of them may carry a long-lived token.
    pub(super) fn limit(&self, scopes: &ScopeSet) -> (Duration, bool) {
        let mut limit: Option<(Duration, bool)> = None;
        for scope in scopes.iter() {
            let this = match self.decision.get(scope) {
                Some(Ruling::Allowed { max_ttl, long_lived, .. }) => (*max_ttl, *long_lived),
                _ => (Duration::ZERO, false),
            };
            limit = Some(limit.map_or(this, |(ttl, all)| (ttl.min(this.0), all && this.1)));
        }
        limit.unwrap_or_default()
    }
}

/// Everything policy saw, except who the person is: the event names them by pseudonym.
fn inputs(question: &Question<'_>) -> BTreeMap<&'static str, Value> {
    let access = |scope: &Scope| question.provider.scope(scope).map_or("", |spec| spec.access.as_str());
    let scopes: BTreeMap<&str, &str> =
        question.scopes.iter().map(|scope| (scope.as_str(), access(scope))).collect();
    let always = [
        ("action", json!("issue")),
        ("tenant", json!(question.subject.tenant)),
        ("realm", json!(question.subject.realm)),
        ("issuer", json!(question.issuer)),
        ("roles", json!(question.roles)),
        ("workload", json!(question.workload)),
        ("workload_roles", json!(question.workload_roles)),
        ("provider", json!(question.provider.id)),
        ("environment", json!(question.provider.environment.as_str())),
        ("scopes", json!(scopes)),
        ("tool", json!(question.tool)),
        ("purpose", json!(question.purpose)),
        ("now", json!(question.now.rfc3339())),
    ];
    let sometimes = [
        ("acr", question.acr.map(|acr| json!(acr))),
        ("auth_time", question.auth_time.map(|time| json!(Timestamp::rfc3339(time)))),
        ("login_age_minutes", question.login_age_minutes().map(|age| json!(age))),
        ("client_id", question.client_id.map(|id| json!(id))),
        ("requested_ttl", question.requested_ttl_seconds().map(|ttl| json!(ttl))),
    ];
    let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    always.into_iter().chain(sometimes).collect()
}
