//! A question as people write it, and what it becomes.

use super::{
    Rules,
    answer::{Answer, Line},
};
use crate::{
    config::{Issuer, TenantRule, Workload, duration},
    domain::provider::Expiry,
    domain::{Clock, ProviderSpec, Scope, ScopeSet, Subject, SystemClock, TenantId, Timestamp},
    policy::{Caller, Question, RpcAction, ScopeQuestion},
};
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
pub(super) enum Action {
    /// May these scopes be granted?
    #[default]
    Issue,
    /// May a token that carries these scopes be handed out, though they are not granted?
    HoldWider,
    /// May the caller read the audit log?
    AuditRead,
    /// May the caller look at and revoke anyone's connections?
    ConnectionsAdmin,
    /// May the caller block, unblock and administer?
    Admin,
}

/// A person.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// Their subject claim.
    pub(super) id: String,
    /// Who vouches for them: the name of an entry of `issuers`; may be left out where there is one.
    pub(super) issuer: Option<String>,
    /// Needed where the issuer serves several.
    pub(super) tenant: Option<String>,
    /// Their roles or groups.
    #[serde(default)]
    pub(super) roles: Arc<BTreeSet<String>>,
}

/// A question.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) subject: Option<Person>,
    pub(super) workload: Option<String>,
    #[serde(default)]
    pub(super) action: Action,
    pub(super) provider: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) tool: String,
    #[serde(default)]
    pub(super) purpose: String,
    pub(super) requested_ttl: Option<String>,
    /// The AI client.
    pub(super) client_id: Option<String>,
    pub(super) acr: Option<String>,
    /// How long ago the person signed in.
    pub(super) login_age: Option<String>,
    /// The time of the call, RFC 3339; now, when left out.
    pub(super) now: Option<String>,
}

/// A person, as the rules know them.
struct Known<'a> {
    subject: Subject,
    issuer: &'a Issuer,
    roles: &'a Arc<BTreeSet<String>>,
}

impl Asked {
    /// Puts it to the rules.
    ///
    /// # Errors
    /// A sentence, where it names what the configuration does not have or leaves out what is needed.
    pub(super) fn put(&self, rules: &Rules) -> Result<Answer, String> {
        match self.action {
            Action::Issue => self.about_scopes(rules, ScopeQuestion::Issue),
            Action::HoldWider => self.about_scopes(rules, ScopeQuestion::HoldWider),
            Action::AuditRead => self.about_call(rules, RpcAction::AuditRead),
            Action::ConnectionsAdmin => self.about_call(rules, RpcAction::ConnectionsAdmin),
            Action::Admin => self.about_call(rules, RpcAction::Admin),
        }
    }

    fn about_scopes(&self, rules: &Rules, asked: ScopeQuestion) -> Result<Answer, String> {
        let person = self.person(rules)?.ok_or("a subject is missing")?;
        let workload = self.workload(rules)?.ok_or("a workload is missing")?;
        let provider = self.provider(rules)?;
        let scopes = self.scopes(provider)?;
        let now = match &self.now {
            None => SystemClock::default().now(),
            Some(text) => {
                Timestamp::parse_rfc3339(text).ok_or("now is a time such as 2027-01-31T08:00:00Z")?
            }
        };
        let question = Question {
            subject: &person.subject,
            issuer: &person.issuer.issuer,
            roles: person.roles,
            acr: self.acr.as_deref(),
            auth_time: span("login_age", self.login_age.as_ref())?.map(|age| now.minus(age)),
            client_id: self.client_id.as_deref(),
            workload: &workload.id,
            workload_roles: &workload.roles,
            provider,
            scopes: &scopes,
            tool: &self.tool,
            purpose: &self.purpose,
            requested_ttl: span("requested_ttl", self.requested_ttl.as_ref())?,
            now,
        };
        let explained = rules.policy.explain(asked, &question);
        let lines: Vec<Line> = match self.obstacle(&person, workload, provider) {
            None => explained.scopes.into_iter().map(Line::from).map(|line| line.at(provider)).collect(),
            Some(obstacle) => scopes.iter().map(|scope| Line::refused_before(scope, &obstacle)).collect(),
        };
        Ok(Answer { version: explained.version, lines })
    }

    fn about_call(&self, rules: &Rules, action: RpcAction) -> Result<Answer, String> {
        let (person, workload) = (self.person(rules)?, self.workload(rules)?);
        let caller = match (&person, workload) {
            (Some(person), None) => Caller::Person {
                subject: &person.subject,
                issuer: &person.issuer.issuer,
                roles: person.roles,
            },
            (None, Some(workload)) => Caller::Workload { id: &workload.id, roles: &workload.roles },
            _ => return Err("either a subject or a workload calls this, not both".to_owned()),
        };
        let line = Line::about_call(action.as_str(), rules.policy.allows(&caller, action));
        Ok(Answer { version: rules.set.version().to_string(), lines: vec![line] })
    }

    fn person<'a>(&'a self, rules: &'a Rules) -> Result<Option<Known<'a>>, String> {
        let Some(person) = &self.subject else { return Ok(None) };
        let issuers = &rules.config.issuers;
        let issuer = match (&person.issuer, &issuers[..]) {
            (Some(name), _) => issuers.iter().find(|issuer| issuer.name == *name),
            (None, [only]) => Some(only),
            (None, _) => return Err("the subject's issuer is missing: there is not exactly one".to_owned()),
        };
        let issuer = issuer.ok_or("the subject's issuer is no entry of issuers")?;
        let tenant = match (&issuer.tenant, &person.tenant) {
            (TenantRule::Fixed(tenant), None) => tenant.clone(),
            (TenantRule::Fixed(tenant), Some(named)) if tenant.as_str() == named => tenant.clone(),
            (TenantRule::Claim { tenants, .. }, Some(named)) => {
                let tenant = TenantId::parse(named).map_err(|error| error.to_string())?;
                let served = tenants.values().any(|one| *one == tenant);
                served.then_some(tenant).ok_or("the subject's issuer does not serve this tenant")?
            }
            (TenantRule::Fixed(_), Some(_)) => {
                return Err("the subject's issuer serves another tenant".to_owned());
            }
            (TenantRule::Claim { .. }, None) => return Err("the subject's tenant is missing".to_owned()),
        };
        let subject = Subject { tenant, realm: issuer.realm.clone(), id: person.id.clone() };
        Ok(Some(Known { subject, issuer, roles: &person.roles }))
    }

    fn workload<'a>(&self, rules: &'a Rules) -> Result<Option<&'a Workload>, String> {
        let Some(name) = &self.workload else { return Ok(None) };
        let found = rules.config.workloads.iter().find(|workload| workload.id.as_str() == name);
        found.map(Some).ok_or_else(|| format!("{name} is no entry of workloads"))
    }

    fn provider<'a>(&self, rules: &'a Rules) -> Result<&'a ProviderSpec, String> {
        let name = self.provider.as_ref().ok_or("a provider is missing")?;
        let found = rules.config.providers.iter().find(|provider| provider.id.as_str() == name);
        found.ok_or_else(|| format!("{name} is no entry of providers"))
    }

    fn scopes(&self, provider: &ProviderSpec) -> Result<ScopeSet, String> {
        let scopes = ScopeSet::parse(&self.scopes).map_err(|error| error.to_string())?;
        if scopes.is_empty() {
            return Err("scopes are missing".to_owned());
        }
        if let Some(scope) = scopes.iter().find(|scope| provider.scope(scope).is_none()) {
            return Err(format!("{} does not offer the scope {scope}", provider.id));
        }
        Ok(scopes)
    }

    /// What the configuration itself refuses, before any rule is asked.
    fn obstacle(&self, person: &Known<'_>, workload: &Workload, provider: &ProviderSpec) -> Option<String> {
        let (id, issuer) = (&workload.id, &person.issuer.name);
        let Some(accepted) = workload.accepts.get(issuer) else {
            return Some(format!("{id} accepts no assertions of {issuer}"));
        };
        if workload.tenants.as_ref().is_some_and(|tenants| !tenants.contains(&person.subject.tenant)) {
            return Some(format!("{id} does not serve this tenant"));
        }
        if workload.providers.as_ref().is_some_and(|providers| !providers.contains(&provider.id)) {
            return Some(format!("{} is not among the providers of {id}", provider.id));
        }
        // As assertions are accepted (ID17): what is listed is all there is, and where agents are, the assertion has to name one.
        let listed = !accepted.agents.is_empty() || !accepted.client_ids.is_empty();
        match &self.client_id {
            None if !accepted.agents.is_empty() => Some(format!(
                "{id} accepts no assertions that do not say which AI client obtained them (client_id)"
            )),
            Some(client)
                if listed && !accepted.agents.contains(client) && !accepted.client_ids.contains(client) =>
            {
                Some(format!("{id} accepts no assertions obtained by this AI client"))
            }
            _ => None,
        }
    }
}

impl Line {
    fn refused_before(scope: &Scope, obstacle: &str) -> Self {
        Self::refused(scope.to_string(), obstacle.to_owned())
    }

    /// What is known of the tokens beforehand: those that never expire need a rule that says so (GR10).
    fn at(self, provider: &ProviderSpec) -> Self {
        if provider.expiry == Expiry::Never { self.with_endless_tokens(&provider.id) } else { self }
    }
}

fn span(what: &str, text: Option<&String>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let bad = || format!("{what} is a whole number and a unit, such as 15m");
    duration::parse(text).map(Some).ok_or_else(bad)
}
