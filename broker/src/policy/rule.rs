//! What a rule's annotations say; Cedar's own answer is only yes or no.

use crate::config::duration;
use cedar_policy::{Effect, Policy};
use std::time::Duration;

/// Begins the ids of the rules the broker brings along.
pub(super) const BUILTIN_PREFIX: &str = "broker.";
const KNOWN: [&str; 5] = ["id", "max_ttl", "long_lived", "reason", "description"];
const LONGEST_REASON: usize = 300;

/// A rule's annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) max_ttl: Option<Duration>,
    pub(super) long_lived: bool,
    pub(super) reason: Option<String>,
    pub(super) description: Option<String>,
    /// A permit, not a forbid.
    pub(super) permits: bool,
}

impl Rule {
    /// Reads the annotations of `policy`, or says everything that is wrong with them.
    pub(super) fn read(policy: &Policy) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let permit = policy.effect() == Effect::Permit;
        let mut rule = Self { permits: permit, ..Self::default() };
        for (key, value) in policy.annotations() {
            match key {
                "id" => {}
                "description" => rule.description = Some(value.to_owned()),
                "max_ttl" if !permit => wrong.push("@max_ttl belongs on a permit".to_owned()),
                "max_ttl" => {
                    rule.max_ttl = duration::parse(value);
                    if rule.max_ttl.is_none() {
                        wrong.push("@max_ttl is not a duration such as \"15m\"".to_owned());
                    }
                }
                "long_lived" if !permit => wrong.push("@long_lived belongs on a permit".to_owned()),
                "long_lived" if value == "allow" => rule.long_lived = true,
                "long_lived" => wrong.push("@long_lived can only be \"allow\"".to_owned()),
                "reason" if permit => wrong.push("@reason belongs on a forbid".to_owned()),
                "reason" if is_sentence(value) => rule.reason = Some(value.to_owned()),
                "reason" => wrong.push(format!("@reason is one line of 1 to {LONGEST_REASON} characters")),
                other => {
                    wrong.push(format!("@{other} is not a known annotation; known are: {}", KNOWN.join(", ")))
                }
            }
        }
        if wrong.is_empty() { Ok(rule) } else { Err(wrong) }
    }
}

/// Whether `id` can name a rule: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`.
pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_sentence(text: &str) -> bool {
    (1..=LONGEST_REASON).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
