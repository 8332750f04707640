//! Decisions by policy version and exactly the inputs its rules mention (PO11).

use super::{
    cedar::ScopeAction,
    decision::Decision,
    mentions::Mentions,
    question::{Question, roles},
};
use crate::domain::{Canonical, sha256};
use moka::sync::Cache;
use std::sync::Arc;

/// Names a decision: equal keys have equal answers.
pub(super) type Key = [u8; 32];

/// A size-bounded cache. An entry holds for ever, because everything that could change the answer is in its key: the
/// version of the rules and, where a rule mentions time, the minute.
pub(super) struct Decisions(Cache<Key, Arc<Decision>>);

impl Decisions {
    pub(super) fn with_capacity(entries: u64) -> Self {
        Self(Cache::new(entries))
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Decision>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Key, decision: &Arc<Decision>) {
        self.0.insert(key, Arc::clone(decision));
    }

    pub(super) fn clear(&self) {
        self.0.invalidate_all();
    }
}

/// The key of a question. Action, tenant, realm, workload, provider and scopes are always in it.
pub(super) fn key(version: &str, action: ScopeAction, mentions: &Mentions, question: &Question<'_>) -> Key {
    let mut key = Canonical::new("broker decision");
    key.text(version)
        .text(action.as_str())
        .text(question.subject.tenant.as_str())
        .text(question.subject.realm.as_str())
        .text(question.workload.as_str())
        .text(question.provider.id.as_str())
        .text(question.provider.environment.as_str())
        .number(question.scopes.len().try_into().unwrap_or(i64::MAX));
    for scope in question.scopes.iter() {
        let access = question.provider.scope(scope).map_or("", |spec| spec.access.as_str());
        key.text(scope.as_str()).text(access);
    }
    let said = |name: &str| mentions.attribute(name);
    key.optional(mentions.subjects().then_some(question.subject.id.as_bytes()));
    key.optional(said("issuer").then_some(question.issuer.as_bytes()));
    key.optional(said("tool").then_some(question.tool.as_bytes()));
    key.optional(said("purpose").then_some(question.purpose.as_bytes()));
    key.optional(question.client_id.filter(|_| said("client_id")).map(str::as_bytes));
    key.optional(question.acr.filter(|_| said("acr")).map(str::as_bytes));
    let ttl = question.requested_ttl_seconds().filter(|_| said("requested_ttl"));
    let age = question.login_age_minutes().filter(|_| said("login_age_minutes"));
    let minute = said("now").then(|| question.minute());
    for number in [ttl, age, minute] {
        key.optional(number.map(i64::to_be_bytes).as_ref().map(|bytes| &bytes[..]));
    }
    if said("roles") {
        roles(&mut key, question.roles);
        roles(&mut key, question.workload_roles);
    }
    sha256(key.finish())
}
