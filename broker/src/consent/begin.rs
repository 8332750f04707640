//! Drafting a consent from a need.

use crate::{
    connection::Need,
    domain::{
        Consent, ConsentId, ConsentState, ProviderId, ScopeSet, Subject, Timestamp, WorkloadId,
        consent::Leftover, sha256,
    },
};
use std::time::Duration;

/// Who needs what, in whose words.
pub struct Asking<'a> {
    /// For whom.
    pub subject: &'a Subject,
    /// Who asks.
    pub workload: &'a WorkloadId,
    /// Where.
    pub provider: &'a ProviderId,
    /// The tool, in the server's words.
    pub tool: &'a str,
    /// The purpose, in the server's words.
    pub purpose: &'a str,
    /// Now, UTC.
    pub now: Timestamp,
    /// How long the link works.
    pub lifetime: Duration,
    /// The revocation epoch that was read.
    pub epoch: i64,
}

/// A consent that has its link out.
pub fn draft(id: ConsentId, asking: &Asking<'_>, need: &Need) -> Consent {
    Consent {
        id,
        subject: asking.subject.clone(),
        workload: asking.workload.clone(),
        provider: asking.provider.clone(),
        connection: need.connection.as_ref().map(|c| c.id.clone()),
        reason: need.reason,
        scopes: need.scopes.clone(),
        provider_scopes: provider_scopes(need),
        tool: asking.tool.to_owned(),
        purpose: asking.purpose.to_owned(),
        created_at: asking.now,
        expires_at: asking.now.plus(asking.lifetime),
        version: 1,
        born_epoch: asking.epoch,
        mismatches: 0,
        state: ConsentState::Pending,
        leftover: Leftover::default(),
    }
}

/// What the provider is asked for: never less than the connection holds, so that nothing is lost (CO9).
fn provider_scopes(need: &Need) -> ScopeSet {
    match &need.connection {
        Some(connection) => need.scopes.union(&connection.scopes),
        None => need.scopes.clone(),
    }
}

/// Under which hash a link's handle is looked up (CO1).
pub fn link_hash(handle: &str) -> [u8; 32] {
    sha256(handle.as_bytes())
}
