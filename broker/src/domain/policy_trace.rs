//! What policy saw when it decided, as the log keeps it. Made for every call, so that little is copied and clones share it.

use super::{Scope, Timestamp};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{collections::BTreeSet, sync::Arc};

/// What policy saw and which rules decided, so that a decision can be replayed (AU5).
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub struct PolicyTrace {
    /// The policy set's version (its hash).
    pub version: Arc<str>,
    /// Ids of the determining rules, sorted.
    pub rules: Arc<Vec<String>>,
    /// Every input policy saw, by name; no personal data and no secret.
    pub inputs: Inputs,
}

impl PolicyTrace {
    /// Further rules that decided.
    pub fn add_rules(&mut self, rules: &[String]) {
        if rules.iter().any(|rule| !self.rules.contains(rule)) {
            let all = Arc::make_mut(&mut self.rules);
            all.extend(rules.iter().cloned());
            all.sort();
            all.dedup();
        }
    }
}

/// What policy saw, by name and in the order of names.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Inputs(Vec<(&'static str, Input)>);

/// One thing that policy saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A word of the contract's.
    Word(&'static str),
    /// A text.
    Text(Arc<str>),
    /// Texts, such as roles.
    Texts(Arc<BTreeSet<String>>),
    /// How each scope is accessed.
    Scopes(Arc<[(Scope, &'static str)]>),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A point in time.
    Time(Timestamp),
    /// Anything else.
    Other(serde_json::Value),
}

impl Inputs {
    /// Adds one, or replaces the one of that name.
    pub fn insert(&mut self, name: &'static str, input: Input) {
        match self.0.binary_search_by_key(&name, |(name, _)| name) {
            Ok(at) => self.0[at].1 = input,
            Err(at) => self.0.insert(at, (name, input)),
        }
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Input> {
        let at = self.0.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(&self.0[at].1)
    }
}

impl FromIterator<(&'static str, Input)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (&'static str, Input)>>(inputs: I) -> Self {
        let mut inputs: Vec<_> = inputs.into_iter().collect();
        inputs.sort_by_key(|(name, _)| *name);
        Self(inputs)
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, input)| (name, input)))
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word(text) => serializer.serialize_str(text),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Scopes(scopes) => {
                let mut map = serializer.serialize_map(Some(scopes.len()))?;
                for (scope, access) in scopes.iter() {
                    map.serialize_entry(scope, access)?;
                }
                map.end()
            }
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Time(time) => serializer.collect_str(time),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_are_written_by_name_in_order_whenever_they_came() {
        let mut inputs: Inputs =
            [("now", Input::Time(Timestamp::from_micros(0))), ("action", Input::Word("issue"))]
                .into_iter()
                .collect();
        let scopes = [(Scope::parse("notes.read").unwrap(), "read")];
        inputs.insert("scopes", Input::Scopes(scopes.into()));
        inputs.insert("held_wider", Input::Other(json!({"a": [1]})));
        inputs.insert("action", Input::Text("other".into()));
        let text = serde_json::to_string(&inputs).unwrap();
        let wanted = r#"{"action":"other","held_wider":{"a":[1]},"now":"1970-01-01T00:00:00.000000Z","scopes":{"notes.read":"read"}}"#;
        assert_eq!(text, wanted);
        assert_eq!(inputs.get("held_wider"), Some(&Input::Other(json!({"a": [1]}))));
        assert_eq!(inputs.get("nothing"), None);
    }

    #[test]
    fn rules_that_are_known_are_not_copied() {
        let mut trace = PolicyTrace { rules: Arc::new(vec!["b".to_owned()]), ..PolicyTrace::default() };
        let before = Arc::clone(&trace.rules);
        trace.add_rules(&["b".to_owned()]);
        assert!(Arc::ptr_eq(&before, &trace.rules));
        trace.add_rules(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(*trace.rules, ["a", "b"]);
    }
}
