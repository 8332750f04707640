//! What was decided about a question, with what policy saw.

use super::{
    decision::{Decision, Ruling},
    denial::Denial,
    question::Question,
    set::PolicySet,
};
use crate::domain::{Input, Inputs, PolicyTrace, ProviderId, Reason, Scope, ScopeSet, Subject, WorkloadId};
use std::{sync::Arc, time::Duration};

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
        let trace = PolicyTrace {
            version: set.version().clone(),
            rules: decision.rules().clone(),
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
        }
    }

    /// The scopes asked for that are allowed.
    pub fn allowed(&self) -> &ScopeSet {
        self.decision.allowed()
    }

    /// The scopes asked for that are refused, in order.
    pub fn denied(&self) -> impl Iterator<Item = DeniedScope<'_>> {
        self.decision.by_scope().iter().filter_map(|(scope, ruling)| match ruling {
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
        self.limit(self.allowed()).0
    }

    /// What policy saw and which rules decided.
    pub fn trace(&self) -> &Arc<PolicyTrace> {
        &self.trace
    }

    /// The denial, when nothing asked for is allowed (PO2, PO4). A partly allowed question is no denial.
    pub fn denial(&self) -> Option<Denial> {
        if !self.allowed().is_empty() {
            return None;
        }
        let denied: Vec<_> = self.denied().collect();
        let broken = denied.iter().find(|d| d.reason == Reason::PolicyError);
        let forbidden = denied.iter().find(|d| d.rule != super::DEFAULT_DENY);
        let (reason, message) = match broken.or(forbidden) {
            Some(first) => (first.reason, first.message.to_owned()),
            None => (Reason::PolicyDenied, self.nobody_allows()),
        };
        Some(Denial::new(reason, message, &self.trace).by_rules(self.trace.rules.to_vec()))
    }

    fn nobody_allows(&self) -> String {
        format!("no rule allows this user to use {} with {}", self.provider, self.workload)
    }

    /// The limit of a grant of `scopes`, and whether every one of them may carry a long-lived token.
    pub(super) fn limit(&self, scopes: &ScopeSet) -> (Duration, bool) {
        let mut limit: Option<(Duration, bool)> = None;
        for scope in scopes.iter() {
            let this = match self.decision.by_scope().get(scope) {
                Some(Ruling::Allowed { max_ttl, long_lived, .. }) => (*max_ttl, *long_lived),
                _ => (Duration::ZERO, false),
            };
            limit = Some(limit.map_or(this, |(ttl, all)| (ttl.min(this.0), all && this.1)));
        }
        limit.unwrap_or_default()
    }
}

/// Everything policy saw, except who the person is: the event names them by pseudonym.
fn inputs(question: &Question<'_>) -> Inputs {
    let access = |scope: &Scope| question.provider.scope(scope).map_or("", |spec| spec.access.as_str());
    let scopes = question.scopes.iter().map(|scope| (scope.clone(), access(scope))).collect();
    let text = |text: &str| Input::Text(text.into());
    let inputs = [
        ("acr", question.acr.map(text)),
        ("action", Some(Input::Word("issue"))),
        ("auth_time", question.auth_time.map(Input::Time)),
        ("client_id", question.client_id.map(text)),
        ("environment", Some(Input::Word(question.provider.environment.as_str()))),
        ("issuer", Some(text(question.issuer))),
        ("login_age_minutes", question.login_age_minutes().map(Input::Number)),
        ("now", Some(Input::Time(question.now))),
        ("provider", Some(Input::Text(question.provider.id.shared()))),
        ("purpose", Some(text(question.purpose))),
        ("realm", Some(Input::Text(question.subject.realm.shared()))),
        ("requested_ttl", question.requested_ttl_seconds().map(Input::Number)),
        ("roles", Some(Input::Texts(question.roles.clone()))),
        ("scopes", Some(Input::Scopes(scopes))),
        ("tenant", Some(Input::Text(question.subject.tenant.shared()))),
        ("tool", Some(text(question.tool))),
        ("workload", Some(Input::Text(question.workload.shared()))),
        ("workload_roles", Some(Input::Texts(question.workload_roles.clone()))),
    ];
    inputs.into_iter().filter_map(|(name, input)| Some((name, input?))).collect()
}
