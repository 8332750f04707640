//! What an MCP server asks for.

use crate::Assertion;
use broker_proto::v1;
use std::time::Duration;

/// A request for one grant.
///
/// ```
/// use broker_client::GrantRequest;
/// let request = GrantRequest::new("the user's SSO token", "notes", ["notes.read"])
///     .tool("list_notes")
///     .purpose("Show the user their notes");
/// assert!(!format!("{request:?}").contains("SSO"));
/// ```
#[derive(Clone, Debug)]
pub struct GrantRequest {
    pub(crate) assertion: Assertion,
    pub(crate) provider: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) connection: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tool: String,
    pub(crate) purpose: String,
    pub(crate) request_id: Option<String>,
}

impl GrantRequest {
    /// For the user that `assertion` speaks of, at `provider`, with `scopes` in the provider's own words.
    pub fn new(
        assertion: impl Into<Assertion>,
        provider: impl Into<String>,
        scopes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            assertion: assertion.into(),
            provider: provider.into(),
            scopes: scopes.into_iter().map(Into::into).collect(),
            connection: None,
            resource: None,
            ttl: None,
            tool: String::new(),
            purpose: String::new(),
            request_id: None,
        }
    }

    /// Which connection to use, when the user has several at the provider.
    pub fn connection(mut self, id: impl Into<String>) -> Self {
        self.connection = Some(id.into());
        self
    }

    /// The resource the token is meant for, an absolute URI (RFC 8707 section 2).
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resource = Some(uri.into());
        self
    }

    /// The longest useful life of the grant; policy may shorten it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The tool that will use it; recorded, and seen by policy and user.
    pub fn tool(mut self, name: impl Into<String>) -> Self {
        self.tool = name.into();
        self
    }

    /// Why it is needed, one plain sentence; recorded, and seen by policy and user.
    pub fn purpose(mut self, sentence: impl Into<String>) -> Self {
        self.purpose = sentence.into();
        self
    }

    /// Your own id of this request, to repeat it safely from another process within 10 minutes. Left out, the client makes one
    /// per call, for its own retries. A [`TokenSource`](crate::TokenSource) always makes its own.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    pub(crate) fn to_message(&self, request_id: &str) -> Result<v1::IssueGrantRequest, crate::Error> {
        let ttl = self.ttl.map(prost_types::Duration::try_from).transpose();
        Ok(v1::IssueGrantRequest {
            assertion: self.assertion.expose().to_owned(),
            provider: self.provider.clone(),
            scopes: self.scopes.clone(),
            connection: self.connection.clone(),
            resource: self.resource.clone(),
            ttl: ttl.map_err(|_| crate::Error::configuration("ttl: out of range"))?,
            tool: self.tool.clone(),
            purpose: self.purpose.clone(),
            request_id: Some(request_id.to_owned()),
        })
    }
}
