//! `GrantService`.

use super::{convert, gate::Principal, grant_requests, status::to_status};
use crate::{
    domain::{EventKind, Outcome, Refusal},
    usecase::{
        BatchOutcome, Caller, ConsentLink, GrantOutcome, Issued, ParentLink, Rooms, batch_issue_grants,
        issue_grant, record_denial,
    },
};
use broker_proto::v1::{
    self, batch_issue_grants_response, grant_item_standing, grant_service_server::GrantService,
    issue_grant_response,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

pub(super) struct Grants(pub(super) Arc<Rooms>);

#[tonic::async_trait]
impl GrantService for Grants {
    async fn issue_grant(
        &self,
        request: Request<v1::IssueGrantRequest>,
    ) -> Result<Response<v1::IssueGrantResponse>, Status> {
        let caller = Principal::of(&request)?.caller().map_err(|r| to_status(&r))?;
        let parsed = grant_requests::single(request.into_inner());
        let (assertion, request) = self.parsed(&caller, parsed).await?;
        let outcome = issue_grant(&self.0, &caller, assertion, request).await.map_err(|r| to_status(&r))?;
        let outcome = match outcome {
            GrantOutcome::Granted(issued) => issue_grant_response::Outcome::Grant(self.grant(&issued)),
            GrantOutcome::ConsentRequired(link) => {
                issue_grant_response::Outcome::ConsentRequired(consent_required(*link))
            }
        };
        Ok(Response::new(v1::IssueGrantResponse { outcome: Some(outcome) }))
    }

    async fn batch_issue_grants(
        &self,
        request: Request<v1::BatchIssueGrantsRequest>,
    ) -> Result<Response<v1::BatchIssueGrantsResponse>, Status> {
        let principal = Principal::of(&request)?;
        let caller = principal.clone().caller().map_err(|r| to_status(&r))?;
        let parsed = grant_requests::batch(request.into_inner());
        let (assertion, items) = self.parsed(&caller, parsed).await?;
        // The gate has counted one.
        let _share = principal.further(&self.0, items.len() - 1).map_err(|refusal| to_status(&refusal))?;
        let outcome = batch_issue_grants(&self.0, &caller, assertion, items).await;
        let outcome = outcome.map_err(|r| to_status(&r))?;
        let outcome = match outcome {
            BatchOutcome::Granted(issued) => {
                let grants = issued.iter().map(|issued| self.grant(issued)).collect();
                batch_issue_grants_response::Outcome::Grants(v1::BatchGrants { grants })
            }
            BatchOutcome::ConsentRequired(link) => {
                batch_issue_grants_response::Outcome::ConsentRequired(parent_required(*link))
            }
        };
        Ok(Response::new(v1::BatchIssueGrantsResponse { outcome: Some(outcome) }))
    }
}

impl Grants {
    /// What cannot be read is written down and refused.
    async fn parsed<T>(&self, caller: &Caller, parsed: Result<T, Refusal>) -> Result<T, Status> {
        match parsed {
            Ok(parsed) => Ok(parsed),
            Err(refusal) => {
                let draft = caller.draft(&*self.0.rng, EventKind::GrantIssue, Outcome::Denied);
                Err(to_status(&record_denial(&self.0, &caller.call, draft, refusal).await))
            }
        }
    }

    fn grant(&self, issued: &Issued) -> v1::Grant {
        let facts = &issued.grant.facts;
        let spec = self.0.providers.get(&issued.connection.provider);
        // Technical scopes (such as offline_access) are never part of a grant, and no reason to call it wider.
        let can_do = spec.map_or_else(
            || issued.token_scopes.clone(),
            |spec| issued.token_scopes.minus(&spec.technical_scopes),
        );
        let exact = can_do == facts.scopes;
        let ends = facts.expires_at;
        let enforced = match (issued.token_expires_at, ends) {
            (Some(token), Some(grant)) => token <= grant,
            _ => false,
        };
        v1::Grant {
            id: issued.id.to_string(),
            access_token: issued.grant.expose_token().to_owned(),
            header_name: spec.map_or_else(|| "authorization".to_owned(), |s| s.header_name.clone()),
            header_value_prefix: spec.map_or_else(|| "Bearer ".to_owned(), |s| s.header_prefix.clone()),
            expire_time: ends.map(convert::timestamp),
            // What was granted, never more than was asked for; `narrowing` says whether the token can do more (GR1).
            scopes: convert::scopes(&facts.scopes),
            narrowing: if exact {
                v1::GrantNarrowing::Exact
            } else {
                v1::GrantNarrowing::ProviderCannotNarrow
            }
            .into(),
            lifetime: if enforced { v1::GrantLifetime::Enforced } else { v1::GrantLifetime::OutlivesGrant }
                .into(),
            token_expire_time: issued.token_expires_at.map(convert::timestamp),
            connection_id: issued.connection.id.to_string(),
            account_label: issued.connection.account.label.clone(),
            audit_position: Some(convert::position(&issued.grant.position)),
        }
    }
}

fn consent_required(link: ConsentLink) -> v1::ConsentRequired {
    v1::ConsentRequired {
        consent_id: link.consent.id.to_string(),
        url: link.url,
        expire_time: Some(convert::timestamp(link.consent.expires_at)),
        reason: convert::consent_reason(link.consent.reason).into(),
        missing_scopes: convert::scopes(&link.missing),
        message: link.sentence,
    }
}

fn parent_required(link: ParentLink) -> v1::BatchConsentRequired {
    let standing = |item: Option<ConsentLink>| match item {
        None => grant_item_standing::Standing::Ready(v1::GrantItemReady {}),
        Some(link) => grant_item_standing::Standing::ConsentRequired(consent_required(link)),
    };
    let items = link.items.into_iter().map(|item| v1::GrantItemStanding { standing: Some(standing(item)) });
    v1::BatchConsentRequired {
        items: items.collect(),
        expire_time: Some(convert::timestamp(link.parent.expires_at)),
        url: link.url,
        message: link.sentence,
    }
}
