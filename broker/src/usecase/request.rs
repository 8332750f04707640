//! A grant request, parsed: what is malformed never gets further.

use crate::{
    domain::{
        Canonical, ConnectionId, ProviderId, ProviderSpec, Reason, Refusal, RequestClaim, ScopeSet, Subject,
        WorkloadId, sha256,
    },
    identity::VerifiedAssertion,
    keys::KeyRing,
};
use std::{sync::Arc, time::Duration};

/// Longest request id, in bytes.
pub const MAX_REQUEST_ID: usize = 128;

/// Where an item stands in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 0.
    pub item: u32,
    /// How many there are.
    pub of: u32,
}

/// A parsed request for one grant: a call of its own, or one item of a batch.
#[derive(Debug)]
pub struct GrantRequest {
    /// The provider.
    pub provider: ProviderId,
    /// Scopes asked for, at least one.
    pub scopes: ScopeSet,
    /// The connection, if the caller names one.
    pub connection: Option<ConnectionId>,
    /// The resource (RFC 8707) the caller means; recorded and part of the fingerprint.
    pub resource: String,
    /// The longest life asked for.
    pub ttl: Option<Duration>,
    /// The tool, in the server's words (checked by [`crate::consent::words`]).
    pub tool: Arc<str>,
    /// The purpose, in the server's words.
    pub purpose: Arc<str>,
    /// Makes retries safe; empty = none. All items of a batch have the same.
    pub request_id: String,
    /// Its place in a batch; `None` = a call of its own.
    pub place: Option<Place>,
}

impl GrantRequest {
    /// Every scope is one the provider offers.
    ///
    /// # Errors
    /// [`Reason::ScopeUnknown`].
    pub fn check_scopes(&self, spec: &ProviderSpec) -> Result<(), Refusal> {
        match self.scopes.iter().find(|scope| spec.scope(scope).is_none()) {
            None => Ok(()),
            Some(scope) => {
                let offered = ScopeSet::from_iter(spec.scopes.iter().map(|s| s.scope.clone()));
                let sentence = format!("{} does not offer the scope {scope}; ask for others.", spec.id);
                Err(Refusal::because(Reason::ScopeUnknown, sentence)
                    .with("scope", scope.as_str())
                    .with("offered", offered.canonical()))
            }
        }
    }

    /// Where the request id is claimed (GR5). `None` without a request id. Each item of a batch has a claim of its own; the first
    /// item's is where a single call with the same request id would have it, so that no id answers two different requests.
    pub fn claim_key(&self, workload: &WorkloadId, subject: &Subject) -> Option<[u8; 32]> {
        if self.request_id.is_empty() {
            return None;
        }
        let mut key = Canonical::new("broker.v1 request key");
        subject.encode(&mut key);
        key.text(workload.as_str()).text(&self.request_id);
        if let Some(place) = self.place.filter(|place| place.item > 0) {
            key.number(place.item.into());
        }
        Some(sha256(key.finish()))
    }

    /// A MAC over what exactly was asked and what `claim` says answers it: a claim that was edited is not this request's. An assertion
    /// that is good once is part of what was asked, or it would open again what others were used up for (ID12).
    pub fn fingerprint(
        &self,
        keys: &KeyRing,
        workload: &WorkloadId,
        assertion: &VerifiedAssertion,
        claim: &RequestClaim,
    ) -> [u8; 32] {
        let mut print = Canonical::new("broker.v1 request fingerprint");
        assertion.subject().encode(&mut print);
        print
            .text(workload.as_str())
            .text(self.provider.as_str())
            .text(&self.scopes.canonical())
            .text(self.connection.as_ref().map_or("", ConnectionId::as_str))
            .text(&self.resource)
            .number(self.ttl.map_or(-1, |ttl| i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)))
            .text(&self.tool)
            .text(&self.purpose)
            .text(claim.grant.as_str())
            .text(claim.connection.as_str())
            .text(&claim.scope_key)
            .number(claim.generation)
            .number(claim.grant_expires_at.micros());
        if let Some(place) = self.place {
            print.number(place.item.into()).number(place.of.into());
        }
        if let Some(used) = assertion.one_time() {
            print.text("one-time assertion").bytes(&used.key);
        }
        keys.request_claim(&print)
    }
}
