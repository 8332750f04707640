//! What rules might say to a question that is only partly known.
//!
//! A consent page says beforehand which servers will hold a token (GR1). It knows the person, the servers, the
//! provider and the scopes; it knows neither what a later call says (tool, purpose, time, how the person signed in)
//! nor the roles in a later assertion. So it asks the *outlook* of the rules, which errs on the side of "might":
//!
//! - in a permit, every part of a condition that depends on something not known is taken for true;
//! - a forbid that depends on something not known is left out, because it might not apply.
//!
//! An outlook decides nothing but what a page says.

use super::{
    beyond::Standing,
    cedar::{self, ScopeAction},
    decision::{self, Ruling},
    engine::Policy,
    question::Question,
};
use crate::domain::ScopeSet;
use cedar_policy::{Effect, PolicySet};
use serde_json::{Value, json};

/// The outlook of `policies`.
///
/// # Errors
/// What Cedar says of a rule that it cannot take back in its own JSON form.
pub(super) fn of(policies: &[cedar_policy::Policy]) -> Result<PolicySet, String> {
    let mut outlook = Vec::new();
    for policy in policies {
        let mut json = policy.to_json().map_err(|error| error.to_string())?;
        if relax(&mut json, policy.effect()) {
            let relaxed = cedar_policy::Policy::from_json(Some(policy.id().clone()), json);
            outlook.push(relaxed.map_err(|error| error.to_string())?);
        }
    }
    PolicySet::from_policies(outlook).map_err(|error| error.to_string())
}

/// Restates a rule; false = it is left out.
fn relax(policy: &mut Value, effect: Effect) -> bool {
    let Some(conditions) = policy.get_mut("conditions").and_then(Value::as_array_mut) else { return true };
    if effect == Effect::Forbid {
        return !conditions.iter().any(is_open);
    }
    conditions.retain_mut(|condition| {
        let is_when = condition.get("kind").and_then(Value::as_str) == Some("when");
        match condition.get_mut("body") {
            Some(body) if is_when => match possible(body) {
                Some(relaxed) => {
                    *body = relaxed;
                    true
                }
                None => false,
            },
            Some(body) => !is_open(body),
            None => true,
        }
    });
    true
}

/// What is left of a condition when everything open in it is taken for true; `None` = nothing.
fn possible(expression: &Value) -> Option<Value> {
    if !is_open(expression) {
        return Some(expression.clone());
    }
    let sides = |operator: &str| {
        let inner = expression.get(operator)?;
        Some((possible(inner.get("left")?), possible(inner.get("right")?)))
    };
    if let Some((left, right)) = sides("&&") {
        return match (left, right) {
            (Some(left), Some(right)) => Some(json!({"&&": {"left": left, "right": right}})),
            (one, other) => one.or(other),
        };
    }
    match sides("||") {
        Some((Some(left), Some(right))) => Some(json!({"||": {"left": left, "right": right}})),
        _ => None,
    }
}

/// Whether an expression depends on something that only a later call says. Errs on the side of "it does".
fn is_open(expression: &Value) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(is_open),
        Value::Object(fields) => fields.iter().any(|(key, inner)| match key.as_str() {
            "." | "has" => is_open_access(inner),
            "Var" => inner == "context",
            _ => is_open(inner),
        }),
        _ => false,
    }
}

fn is_open_access(access: &Value) -> bool {
    let (Some(left), Some(attribute)) = (access.get("left"), access.get("attr").and_then(Value::as_str))
    else {
        return true;
    };
    match left.get("Var").and_then(Value::as_str) {
        Some("context") => attribute != "workload",
        Some("principal") => matches!(attribute, "roles" | "issuer"),
        _ => is_open(left),
    }
}

impl Policy {
    /// What a workload might hold beyond `approved` if it were handed a token that carries `token`; `None` when it
    /// would not be, whatever its call says. Of `question`, only person, workload and provider count.
    pub fn might_hold(
        &self,
        question: &Question<'_>,
        approved: &ScopeSet,
        token: &ScopeSet,
    ) -> Option<ScopeSet> {
        let set = self.set.load();
        let ruling = |action, scope| -> Ruling {
            let asked = cedar::about_scope(action, question, scope, &set.schema);
            decision::rule_on(&set, &set.outlook, &self.authorizer, self.settings.default_max_ttl, asked)
        };
        let mut held = Vec::new();
        let token = token.minus(&question.provider.technical_scopes);
        for scope in token.iter() {
            let own = approved.contains(scope);
            let issue = ruling(ScopeAction::Issue, scope);
            // What is approved may be asked for, and then nobody asks whether it may be held.
            let hold = (!own).then(|| ruling(ScopeAction::HoldWider, scope));
            match Standing::of(Some(&issue), hold.as_ref(), own) {
                Standing::Own(_) => {}
                Standing::Held(_) => held.push(scope.clone()),
                Standing::Forbidden(_) | Standing::Unapproved | Standing::NotAllowed => return None,
            }
        }
        Some(held.into_iter().collect())
    }
}
