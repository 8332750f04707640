//! Which inputs the loaded rules mention: exactly those are part of the cache key.

use cedar_policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;

/// What rules mention. Errs on the side of "mentioned".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    attributes: BTreeSet<String>,
    /// A rule names a person, so that who asks can matter by itself.
    subjects: bool,
    /// A rule uses the whole context, or a form not known here: everything matters.
    everything: bool,
}

impl Mentions {
    pub(super) fn add(&mut self, policy: &Policy) {
        match policy.to_json() {
            Ok(json) => self.walk(&json),
            Err(_) => self.everything = true,
        }
        self.subjects |= policy.entity_literals().iter().any(|uid| uid.type_name().basename() == "Subject");
    }

    pub(super) fn attribute(&self, name: &str) -> bool {
        self.everything || self.attributes.contains(name)
    }

    pub(super) fn subjects(&self) -> bool {
        self.everything || self.subjects
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                for (key, inner) in fields {
                    match key.as_str() {
                        "." | "has" => self.access(inner),
                        "Var" if inner == "context" => self.everything = true,
                        _ => self.walk(inner),
                    }
                }
            }
            _ => {}
        }
    }

    /// `left.attr` or `left has attr`. Reading one attribute of the context mentions that one only.
    fn access(&mut self, access: &Value) {
        match (access.get("left"), access.get("attr").and_then(Value::as_str)) {
            (Some(left), Some(attr)) => {
                self.attributes.insert(attr.to_owned());
                if left.get("Var").is_none() {
                    self.walk(left);
                }
            }
            _ => {
                self.everything = true;
                self.walk(access);
            }
        }
    }
}
