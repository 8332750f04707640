//! What callers ask to be granted, read: what is malformed never gets further.

use super::convert;
use crate::{
    consent::words,
    domain::{ConnectionId, Refusal, ScopeSet, SecretString},
    usecase::{GrantRequest, MAX_BATCH, MAX_REQUEST_ID, Place},
};
use broker_proto::v1;
use std::{sync::Arc, time::Duration};

/// Longest resource indicator, in bytes.
const MAX_RESOURCE: usize = 2048;
/// Longest life that can be asked for.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Largest assertion that is looked at, in bytes (ID5); the verifier says so again.
const MAX_ASSERTION: usize = 16 * 1024;

/// One grant.
pub(super) fn single(request: v1::IssueGrantRequest) -> Result<(SecretString, GrantRequest), Refusal> {
    let v1::IssueGrantRequest { assertion, provider, scopes, connection, resource, ttl, .. } = request;
    let call = Shared::read(assertion, request.tool, request.purpose, request.request_id)?;
    let item = v1::GrantItem { provider, scopes, connection, resource, ttl };
    let request = call.request(item, None)?;
    Ok((call.assertion, request))
}

/// Several grants.
pub(super) fn batch(
    request: v1::BatchIssueGrantsRequest,
) -> Result<(SecretString, Vec<GrantRequest>), Refusal> {
    let v1::BatchIssueGrantsRequest { assertion, items, tool, purpose, request_id } = request;
    // Counted before anything of them is read.
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(Refusal::invalid("items", format!("A batch has 1 to {MAX_BATCH} items.")));
    }
    let call = Shared::read(assertion, tool, purpose, request_id)?;
    let of = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut requests: Vec<GrantRequest> = Vec::with_capacity(items.len());
    for (item, place) in items.into_iter().zip(0..) {
        let named = |refusal: Refusal| refusal.with("item", place.to_string());
        let request = call.request(item, Some(Place { item: place, of })).map_err(named)?;
        if requests.iter().any(|other| same(other, &request)) {
            let sentence = "Two items of a batch ask for the same; ask for it once.";
            return Err(named(Refusal::invalid("items", sentence)));
        }
        requests.push(request);
    }
    Ok((call.assertion, requests))
}

/// Whether two items want the same token.
fn same(one: &GrantRequest, other: &GrantRequest) -> bool {
    one.provider == other.provider
        && one.scopes == other.scopes
        && one.connection == other.connection
        && one.resource == other.resource
}

/// What all items of a call have in common.
struct Shared {
    assertion: SecretString,
    tool: Arc<str>,
    purpose: Arc<str>,
    request_id: String,
}

impl Shared {
    fn read(
        assertion: String,
        tool: String,
        purpose: String,
        request_id: Option<String>,
    ) -> Result<Self, Refusal> {
        if assertion.len() > MAX_ASSERTION {
            return Err(Refusal::invalid("assertion", "An assertion has at most 16 KiB."));
        }
        for (field, text) in [("tool", &tool), ("purpose", &purpose)] {
            words::check(text).map_err(|e| Refusal::invalid(field, convert::sentence(&e)))?;
        }
        let request_id = request_id.unwrap_or_default();
        if request_id.len() > MAX_REQUEST_ID || !request_id.bytes().all(|b| b.is_ascii_graphic()) {
            let sentence = "A request id has at most 128 visible ASCII characters.";
            return Err(Refusal::invalid("request_id", sentence));
        }
        Ok(Self {
            assertion: SecretString::from(assertion),
            tool: tool.into(),
            purpose: purpose.into(),
            request_id,
        })
    }

    fn request(&self, item: v1::GrantItem, place: Option<Place>) -> Result<GrantRequest, Refusal> {
        let scopes =
            ScopeSet::parse(&item.scopes).map_err(|e| Refusal::invalid("scopes", convert::sentence(&e)))?;
        if scopes.is_empty() {
            return Err(Refusal::invalid("scopes", "Ask for at least one scope."));
        }
        Ok(GrantRequest {
            scopes,
            connection: connection(item.connection.as_deref())?,
            resource: resource(item.resource)?,
            provider: convert::provider_id(&item.provider)?,
            ttl: item.ttl.map(ttl).transpose()?,
            tool: self.tool.clone(),
            purpose: self.purpose.clone(),
            request_id: self.request_id.clone(),
            place,
        })
    }
}

fn connection(text: Option<&str>) -> Result<Option<ConnectionId>, Refusal> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => convert::connection_id("connection", text).map(Some),
    }
}

fn resource(resource: Option<String>) -> Result<String, Refusal> {
    let resource = resource.unwrap_or_default();
    let is_resource = |text: &str| url::Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    if resource.len() > MAX_RESOURCE || (!resource.is_empty() && !is_resource(&resource)) {
        return Err(Refusal::invalid(
            "resource",
            "A resource is an absolute URI without fragment, at most 2048 bytes (RFC 8707).",
        ));
    }
    Ok(resource)
}

fn ttl(ttl: prost_types::Duration) -> Result<Duration, Refusal> {
    // Looked at first: the conversion overflows at the far end of negative numbers.
    let positive = Some(ttl).filter(|ttl| ttl.seconds >= 0 && (0..1_000_000_000).contains(&ttl.nanos));
    let ttl =
        positive.and_then(|ttl| Duration::try_from(ttl).ok()).filter(|ttl| !ttl.is_zero() && *ttl <= MAX_TTL);
    ttl.ok_or_else(|| Refusal::invalid("ttl", "A ttl is more than 0 and at most 7 days."))
}
