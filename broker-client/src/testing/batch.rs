//! Several grants at once: all, or none and what is missing.

use super::calls::{Answered, Call};
use super::reasons::Refusal;
use super::state::{Decision, State};
use crate::proto::{
    BatchConsentRequired, BatchGrants, BatchIssueGrantsRequest, BatchIssueGrantsResponse, GrantItemReady,
    GrantItemStanding, IssueGrantRequest, batch_issue_grants_response::Outcome,
    grant_item_standing::Standing,
};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Most items of one batch.
const MOST: usize = 16;

/// The call as it is written down: of its items, joined by spaces.
pub(super) fn call(asked: &BatchIssueGrantsRequest) -> Call {
    let providers: Vec<&str> = asked.items.iter().map(|item| item.provider.as_str()).collect();
    Call {
        provider: providers.join(" "),
        scopes: asked.items.iter().flat_map(|item| item.scopes.clone()).collect(),
        tool: asked.tool.clone(),
        purpose: asked.purpose.clone(),
        request_id: asked.request_id.clone(),
        ..Call::new("BatchIssueGrants", Some(asked.assertion.as_str()))
    }
}

/// What the broker answers to a batch.
pub(super) fn answer(
    asked: &BatchIssueGrantsRequest,
    state: &mut State,
    now: SystemTime,
    call: &mut Call,
) -> Result<BatchIssueGrantsResponse, Refusal> {
    let refuse = |reason: &str| Refusal::new(reason, None);
    if let Some(refusal) = state.refusals.pop_front() {
        return Err(refusal);
    }
    if asked.assertion.is_empty() {
        return Err(refuse("ASSERTION_MISSING"));
    }
    let whole = |item: &IssueGrantRequest| !item.provider.is_empty() && !item.scopes.is_empty();
    let items: Vec<IssueGrantRequest> = items(asked).collect();
    let twice = items.iter().enumerate().any(|(at, item)| items[..at].iter().any(|other| same(other, item)));
    if !(1..=MOST).contains(&items.len()) || !items.iter().all(whole) || twice {
        return Err(refuse("INVALID_ARGUMENT"));
    }
    let all = items.iter().all(|item| state.missing(item).is_none());
    let (mut grants, mut standings, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for item in &items {
        if !all && state.missing(item).is_none() {
            standings.push(Standing::Ready(GrantItemReady {}));
            continue;
        }
        match state.decide(item, now) {
            Decision::Grant(grant) => grants.push(grant),
            Decision::Consent(consent) => {
                missing.push(consent.consent_id.clone());
                standings.push(Standing::ConsentRequired(consent));
            }
        }
    }
    let outcome = if all {
        let ids: Vec<&str> = grants.iter().map(|grant| grant.id.as_str()).collect();
        call.answered = Answered::Granted(ids.join(" "));
        Outcome::Grants(BatchGrants { grants })
    } else {
        call.answered = Answered::ConsentRequired(missing.join(" "));
        Outcome::ConsentRequired(consents(&missing, standings))
    };
    Ok(BatchIssueGrantsResponse { outcome: Some(outcome) })
}

/// Each item as a request of its own.
fn items(asked: &BatchIssueGrantsRequest) -> impl Iterator<Item = IssueGrantRequest> {
    asked.items.iter().map(|item| IssueGrantRequest {
        assertion: asked.assertion.clone(),
        provider: item.provider.clone(),
        scopes: item.scopes.clone(),
        connection: item.connection.clone(),
        resource: item.resource.clone(),
        ttl: item.ttl,
        ..IssueGrantRequest::default()
    })
}

/// Where the pages are that lead through several consents.
const PAGES: &str = "https://broker.invalid/consents/";

/// The consents that such a page leads through; `None` for what is no such page.
pub(super) fn page(link: &str) -> Option<impl Iterator<Item = &str>> {
    Some(link.strip_prefix(PAGES)?.split('+'))
}

/// One page for them all, which ends with the first of their links.
fn consents(missing: &[String], standings: Vec<Standing>) -> BatchConsentRequired {
    let ends = standings.iter().filter_map(|standing| match standing {
        Standing::ConsentRequired(consent) => consent.expire_time,
        Standing::Ready(_) => None,
    });
    BatchConsentRequired {
        url: format!("{PAGES}{}", missing.join("+")),
        expire_time: ends.min_by_key(|end| (end.seconds, end.nanos)),
        message: "Please connect what is missing.".to_owned(),
        items: standings.into_iter().map(|standing| GrantItemStanding { standing: Some(standing) }).collect(),
    }
}

/// Whether two items want the same token, as the broker sees it: scopes are a set, and how long it lasts makes no difference.
fn same(one: &IssueGrantRequest, other: &IssueGrantRequest) -> bool {
    let scopes = |item: &IssueGrantRequest| item.scopes.iter().cloned().collect::<BTreeSet<String>>();
    one.provider == other.provider
        && scopes(one) == scopes(other)
        && one.connection == other.connection
        && one.resource == other.resource
}
