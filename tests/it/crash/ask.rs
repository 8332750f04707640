//! What one client wants of the broker, in one call or in one batch, and how it ended.

use broker_proto::v1::{
    BatchIssueGrantsRequest, Grant, GrantItem, IssueGrantRequest, batch_issue_grants_response as batch,
    grant_item_standing::Standing, issue_grant_response as single,
};
use demo::world::{CALENDAR, PROVIDER, Workload};

/// What one client wants; a repeat with the same request id wants exactly the same.
#[derive(Clone)]
pub struct Ask {
    /// Unique; recorded as the purpose of the event, so that each row can be traced to its call.
    pub purpose: String,
    pub person: usize,
    pub workload: Workload,
    /// At Notes.
    pub scopes: Vec<String>,
    /// Beside reading the calendar, all or none.
    pub batch: bool,
    pub request_id: Option<String>,
}

/// How one call ended.
pub enum End {
    /// One grant, or those of a batch in the order of its items.
    Granted(Vec<Grant>),
    Consent(Vec<Link>),
    /// The broker's own refusal, by its reason.
    Refused(String),
    /// No answer: the broker may have decided or not.
    Lost,
}

/// One link of an answer.
#[derive(Clone)]
pub struct Link {
    /// Where it leads; the page that leads through a batch is of none.
    pub provider: Option<&'static str>,
    pub url: String,
}

impl Ask {
    /// The items: where, and what of it.
    pub fn items(&self) -> Vec<(&'static str, Vec<String>)> {
        let notes = (PROVIDER, self.scopes.clone());
        if self.batch { vec![notes, (CALENDAR, vec!["calendar.read".to_owned()])] } else { vec![notes] }
    }

    pub fn single(&self, assertion: String) -> IssueGrantRequest {
        IssueGrantRequest {
            assertion,
            provider: PROVIDER.to_owned(),
            scopes: self.scopes.clone(),
            tool: "crash_test".to_owned(),
            purpose: self.purpose.clone(),
            request_id: self.request_id.clone(),
            ..Default::default()
        }
    }

    pub fn batch(&self, assertion: String) -> BatchIssueGrantsRequest {
        let item = |(provider, scopes): (&str, Vec<String>)| GrantItem {
            provider: provider.to_owned(),
            scopes,
            ..Default::default()
        };
        BatchIssueGrantsRequest {
            assertion,
            items: self.items().into_iter().map(item).collect(),
            tool: "crash_test".to_owned(),
            purpose: self.purpose.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

impl From<single::Outcome> for End {
    fn from(outcome: single::Outcome) -> End {
        match outcome {
            single::Outcome::Grant(grant) => End::Granted(vec![grant]),
            single::Outcome::ConsentRequired(consent) => {
                End::Consent(vec![Link { provider: Some(PROVIDER), url: consent.url }])
            }
        }
    }
}

impl From<batch::Outcome> for End {
    fn from(outcome: batch::Outcome) -> End {
        let required = match outcome {
            batch::Outcome::Grants(grants) => {
                assert_eq!(grants.grants.len(), 2, "part of a batch");
                return End::Granted(grants.grants);
            }
            batch::Outcome::ConsentRequired(required) => required,
        };
        let mut links = vec![Link { provider: None, url: required.url }];
        for (provider, item) in [PROVIDER, CALENDAR].into_iter().zip(required.items) {
            if let Some(Standing::ConsentRequired(consent)) = item.standing {
                links.push(Link { provider: Some(provider), url: consent.url });
            }
        }
        End::Consent(links)
    }
}
