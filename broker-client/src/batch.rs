//! Several grants at once, for a tool that needs them all.

use crate::{Assertion, ConsentRequired, ConsentUrl, Error, Grant, GrantRequest};
use broker_proto::v1;
use std::time::SystemTime;

/// A request for several grants of one user: all of them, or none.
///
/// ```
/// use broker_client::{BatchRequest, GrantRequest};
/// let user = "the user's SSO token";
/// let batch = BatchRequest::new(user)
///     .item(GrantRequest::new(user, "notes", ["notes.read"]))
///     .item(GrantRequest::new(user, "tasks", ["tasks.read"]))
///     .tool("plan_week")
///     .purpose("Plan the week from notes and tasks");
/// assert!(!format!("{batch:?}").contains("SSO"));
/// ```
#[derive(Clone, Debug)]
pub struct BatchRequest {
    assertion: Assertion,
    items: Vec<GrantRequest>,
    tool: String,
    purpose: String,
    pub(crate) request_id: Option<String>,
}

impl BatchRequest {
    /// For the user that `assertion` speaks of; nothing in it yet.
    pub fn new(assertion: impl Into<Assertion>) -> Self {
        let (tool, purpose) = (String::new(), String::new());
        Self { assertion: assertion.into(), items: Vec::new(), tool, purpose, request_id: None }
    }

    /// One more grant, at most 16. Of `item` counts what says which grant: provider, scopes, connection, resource, ttl. User, tool,
    /// purpose and request id are the batch's.
    pub fn item(mut self, item: GrantRequest) -> Self {
        self.items.push(item);
        self
    }

    /// The tool that will use them; recorded, and seen by policy and user.
    pub fn tool(mut self, name: impl Into<String>) -> Self {
        self.tool = name.into();
        self
    }

    /// Why they are needed, one plain sentence; recorded, and seen by policy and user.
    pub fn purpose(mut self, sentence: impl Into<String>) -> Self {
        self.purpose = sentence.into();
        self
    }

    /// As [`GrantRequest::request_id`].
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Each item as the request that it is, alone.
    pub(crate) fn requests(&self) -> impl ExactSizeIterator<Item = GrantRequest> {
        self.items.iter().map(|item| GrantRequest {
            assertion: self.assertion.clone(),
            tool: self.tool.clone(),
            purpose: self.purpose.clone(),
            request_id: None,
            ..item.clone()
        })
    }

    /// The same for these items alone, in this order, and under a request id of its own.
    pub(crate) fn part(&self, items: &[usize]) -> Self {
        let items = items.iter().filter_map(|index| self.items.get(*index).cloned()).collect();
        Self { items, request_id: None, ..self.clone() }
    }

    /// The provider of each item.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| item.provider.as_str())
    }

    /// Whose grants they are.
    pub(crate) fn assertion(&self) -> &Assertion {
        &self.assertion
    }

    pub(crate) fn to_message(&self, request_id: &str) -> Result<v1::BatchIssueGrantsRequest, Error> {
        let item = |item: &GrantRequest| {
            let v1::IssueGrantRequest { provider, scopes, connection, resource, ttl, .. } =
                item.to_message(request_id)?;
            Ok(v1::GrantItem { provider, scopes, connection, resource, ttl })
        };
        Ok(v1::BatchIssueGrantsRequest {
            assertion: self.assertion.expose().to_owned(),
            items: self.items.iter().map(item).collect::<Result<_, Error>>()?,
            tool: self.tool.clone(),
            purpose: self.purpose.clone(),
            request_id: Some(request_id.to_owned()),
        })
    }

    /// What came of it. An answer that is not about exactly these items is a failure.
    pub(crate) fn outcome(&self, response: v1::BatchIssueGrantsResponse) -> Result<BatchOutcome, Error> {
        use v1::batch_issue_grants_response::Outcome;
        let (outcome, items) = match response.outcome {
            Some(Outcome::Grants(grants)) => {
                let grants: Result<Vec<Grant>, Error> =
                    grants.grants.into_iter().map(Grant::try_from).collect();
                let grants = grants?;
                let items = grants.len();
                (BatchOutcome::Grants(grants), items)
            }
            Some(Outcome::ConsentRequired(required)) => {
                let required = BatchConsentRequired::try_from(required)?;
                let items = required.items.len();
                (BatchOutcome::ConsentRequired(required), items)
            }
            None => return Err(Error::protocol("an answer without an outcome")),
        };
        if items == self.items.len() { Ok(outcome) } else { Err(Error::protocol("an answer to other items")) }
    }
}

/// What the broker answered to a batch.
#[derive(Clone, Debug)]
pub enum BatchOutcome {
    /// A grant for every item, in the order of the items.
    Grants(Vec<Grant>),
    /// The user has to act first; nothing was issued.
    ConsentRequired(BatchConsentRequired),
}

/// What is missing for a batch, and the one page that leads the user through it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchConsentRequired {
    /// The link to show to the user. It works for nobody else.
    pub url: ConsentUrl,
    /// When that page stops working.
    pub expire_time: SystemTime,
    /// One sentence for the user.
    pub message: String,
    /// What is missing for each item, in the order of the items; `None`: nothing.
    pub items: Vec<Option<ConsentRequired>>,
}

impl TryFrom<v1::BatchConsentRequired> for BatchConsentRequired {
    type Error = Error;

    fn try_from(required: v1::BatchConsentRequired) -> Result<Self, Error> {
        use v1::grant_item_standing::Standing;
        let item = |item: v1::GrantItemStanding| match item.standing {
            Some(Standing::Ready(_)) => Ok(None),
            Some(Standing::ConsentRequired(consent)) => ConsentRequired::try_from(consent).map(Some),
            None => Err(Error::protocol("an item without a standing")),
        };
        if required.url.is_empty() {
            return Err(Error::protocol("consents without a link"));
        }
        Ok(Self {
            url: ConsentUrl::new(required.url),
            expire_time: crate::outcome::required(required.expire_time)?,
            message: required.message,
            items: required.items.into_iter().map(item).collect::<Result<_, Error>>()?,
        })
    }
}
