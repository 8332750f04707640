//! What the fake was asked, and what it answered.

use crate::Assertion;

/// One call, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The RPC, such as `IssueGrant`.
    pub method: &'static str,
    /// Whom it was for, where it said so.
    pub assertion: Option<Assertion>,
    /// The provider; empty where there is none, and those of a batch joined by spaces.
    pub provider: String,
    /// The scopes, as they were sent.
    pub scopes: Vec<String>,
    /// The tool it named.
    pub tool: String,
    /// The purpose it named.
    pub purpose: String,
    /// Its request id.
    pub request_id: Option<String>,
    /// The connection or the consent it named.
    pub id: Option<String>,
    /// The answer.
    pub answered: Answered,
}

/// What the fake answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// A grant, by its id; those of a batch joined by spaces.
    Granted(String),
    /// A link, by the consent's id; those of a batch joined by spaces.
    ConsentRequired(String),
    /// A refusal, by its reason.
    Refused(String),
    /// What was asked for.
    Done,
}

impl Call {
    pub(super) fn new(method: &'static str, assertion: Option<&str>) -> Self {
        Self {
            method,
            assertion: assertion.map(Assertion::from),
            provider: String::new(),
            scopes: Vec::new(),
            tool: String::new(),
            purpose: String::new(),
            request_id: None,
            id: None,
            answered: Answered::Done,
        }
    }

    pub(super) fn about(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }
}
