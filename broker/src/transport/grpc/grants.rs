//! `GrantService`.

use super::{convert, gate::Principal, status::to_status};
use crate::{
    consent::words,
    domain::{Refusal, ScopeSet, SecretString},
    usecase::{ConsentLink, GrantOutcome, GrantRequest, Issued, MAX_REQUEST_ID, Rooms, issue_grant},
};
use broker_proto::v1::{self, grant_service_server::GrantService, issue_grant_response};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

/// Longest resource indicator, in bytes.
const MAX_RESOURCE: usize = 2048;
/// Longest life that can be asked for.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Largest assertion that is looked at, in bytes (ID5); the verifier says so again.
const MAX_ASSERTION: usize = 16 * 1024;

pub(super) struct Grants(pub(super) Arc<Rooms>);

#[tonic::async_trait]
impl GrantService for Grants {
    async fn issue_grant(
        &self,
        request: Request<v1::IssueGrantRequest>,
    ) -> Result<Response<v1::IssueGrantResponse>, Status> {
        let caller = Principal::of(&request)?.caller().map_err(|r| to_status(&r))?;
        let parsed = match parse(request.into_inner()) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                use crate::domain::{EventKind, Outcome};
                let draft = caller.draft(&*self.0.rng, EventKind::GrantIssue, Outcome::Denied);
                let refusal = crate::usecase::record_denial(&self.0, &caller.call, draft, refusal).await;
                return Err(to_status(&refusal));
            }
        };
        let deadline = caller.call.deadline;
        let left = deadline.remaining(&*self.0.clock);
        let issued = tokio::time::timeout(left, issue_grant(&self.0, &caller, parsed)).await;
        let outcome = match issued {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(refusal)) => return Err(to_status(&refusal)),
            Err(_) => return Err(to_status(&Refusal::new(crate::domain::Reason::DeadlineExceeded))),
        };
        let outcome = match outcome {
            GrantOutcome::Granted(issued) => issue_grant_response::Outcome::Grant(self.grant(&issued)),
            GrantOutcome::ConsentRequired(link) => {
                issue_grant_response::Outcome::ConsentRequired(consent_required(*link))
            }
        };
        Ok(Response::new(v1::IssueGrantResponse { outcome: Some(outcome) }))
    }
}

impl Grants {
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

fn parse(request: v1::IssueGrantRequest) -> Result<GrantRequest, Refusal> {
    if request.assertion.len() > MAX_ASSERTION {
        return Err(Refusal::invalid("assertion", "An assertion has at most 16 KiB."));
    }
    let scopes =
        ScopeSet::parse(&request.scopes).map_err(|e| Refusal::invalid("scopes", convert::sentence(&e)))?;
    if scopes.is_empty() {
        return Err(Refusal::invalid("scopes", "Ask for at least one scope."));
    }
    let connection = match request.connection.as_deref() {
        None | Some("") => None,
        Some(text) => Some(convert::connection_id("connection", text)?),
    };
    let resource = request.resource.unwrap_or_default();
    let is_resource = |text: &str| url::Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    if resource.len() > MAX_RESOURCE || (!resource.is_empty() && !is_resource(&resource)) {
        return Err(Refusal::invalid(
            "resource",
            "A resource is an absolute URI without fragment, at most 2048 bytes (RFC 8707).",
        ));
    }
    for (field, text) in [("tool", &request.tool), ("purpose", &request.purpose)] {
        words::check(text).map_err(|e| Refusal::invalid(field, convert::sentence(&e)))?;
    }
    let request_id = request.request_id.unwrap_or_default();
    if request_id.len() > MAX_REQUEST_ID || !request_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::invalid("request_id", "A request id has at most 128 visible ASCII characters."));
    }
    Ok(GrantRequest {
        assertion: SecretString::from(request.assertion),
        provider: convert::provider_id(&request.provider)?,
        scopes,
        connection,
        resource,
        ttl: request.ttl.map(ttl).transpose()?,
        tool: request.tool,
        purpose: request.purpose,
        request_id,
    })
}

fn ttl(ttl: prost_types::Duration) -> Result<Duration, Refusal> {
    // Looked at first: the conversion overflows at the far end of negative numbers.
    let positive = Some(ttl).filter(|ttl| ttl.seconds >= 0 && (0..1_000_000_000).contains(&ttl.nanos));
    let ttl =
        positive.and_then(|ttl| Duration::try_from(ttl).ok()).filter(|ttl| !ttl.is_zero() && *ttl <= MAX_TTL);
    ttl.ok_or_else(|| Refusal::invalid("ttl", "A ttl is more than 0 and at most 7 days."))
}
