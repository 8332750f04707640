//! Permits that almost applied: which parts of their conditions do not hold.
//!
//! Every part of a condition that stands on its own (joined by `&&`) is tried alone, under the same head. A part that cannot be
//! evaluated alone, such as the second half of `context has acr && context.acr == "…"`, counts as not held.

use super::{cedar::Asked, explain::NearMiss, set::PolicySet};
use cedar_policy::{Authorizer, Decision, Effect, Policy};
use serde_json::{Value, json};

/// The permits whose head fits what was asked, those that lack least first.
pub(super) fn misses(set: &PolicySet, authorizer: &Authorizer, asked: &Asked) -> Vec<NearMiss> {
    let permits = set.cedar.policies().filter(|policy| policy.effect() == Effect::Permit);
    let mut near: Vec<NearMiss> = permits.filter_map(|policy| miss(policy, authorizer, asked)).collect();
    near.sort_by(|a, b| (a.unmet.len(), &a.rule).cmp(&(b.unmet.len(), &b.rule)));
    near
}

fn miss(policy: &Policy, authorizer: &Authorizer, asked: &Asked) -> Option<NearMiss> {
    let json = policy.to_json().ok()?;
    let with = |conditions: Vec<Value>| -> Option<Policy> {
        let mut json = json.clone();
        *json.get_mut("conditions")? = Value::Array(conditions);
        Policy::from_json(Some(policy.id().clone()), json).ok()
    };
    let holds = |policy: &Policy| {
        let alone = cedar_policy::PolicySet::from_policies([policy.clone()]);
        alone.is_ok_and(|set| {
            authorizer.is_authorized(&asked.request, &set, &asked.entities).decision() == Decision::Allow
        })
    };
    // The rule is about something else altogether.
    if !holds(&with(Vec::new())?) {
        return None;
    }
    let mut parts = Vec::new();
    for condition in json.get("conditions")?.as_array()? {
        let is_when = condition.get("kind").and_then(Value::as_str) == Some("when");
        match condition.get("body") {
            Some(body) if is_when => split(body, &mut parts),
            _ => parts.push(condition.clone()),
        }
    }
    let unmet = parts.into_iter().filter_map(|part| {
        let alone = with(vec![part])?;
        (!holds(&alone)).then(|| words(&alone))
    });
    Some(NearMiss { rule: AsRef::<str>::as_ref(policy.id()).to_owned(), unmet: unmet.collect() })
}

/// The parts of a `when` that `&&` joins, each as a condition.
fn split(body: &Value, parts: &mut Vec<Value>) {
    match body.get("&&") {
        Some(both) => [&both["left"], &both["right"]].into_iter().for_each(|side| split(side, parts)),
        None => parts.push(json!({ "kind": "when", "body": body })),
    }
}

/// What stands in the braces of a policy's only condition, on one line. Cedar writes `unless` as `when { !(…) }`.
fn words(policy: &Policy) -> String {
    let text = policy.to_cedar().unwrap_or_default();
    let inside =
        text.rsplit_once("when {").and_then(|(_, rest)| rest.rsplit_once('}')).map(|(inside, _)| inside);
    inside.unwrap_or(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}
