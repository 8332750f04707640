//! What policy is asked about a grant.

use crate::domain::{Canonical, ProviderSpec, ScopeSet, Subject, Timestamp, WorkloadId, sha256};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// May this workload be granted these scopes at this provider for this person?
///
/// Every scope must be one the provider offers: callers refuse unknown ones first.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The person.
    pub subject: &'a Subject,
    /// The assertion's `iss`.
    pub issuer: &'a str,
    /// The person's roles or groups.
    pub roles: &'a Arc<BTreeSet<String>>,
    /// How the person signed in (OpenID Connect Core §2, `acr`).
    pub acr: Option<&'a str>,
    /// When the person signed in, UTC (`auth_time`).
    pub auth_time: Option<Timestamp>,
    /// The AI client: the assertion's `azp` or `client_id`.
    pub client_id: Option<&'a str>,
    /// The MCP server that asks.
    pub workload: &'a WorkloadId,
    /// Its configured roles.
    pub workload_roles: &'a Arc<BTreeSet<String>>,
    /// The provider.
    pub provider: &'a ProviderSpec,
    /// The scopes asked for.
    pub scopes: &'a ScopeSet,
    /// The tool, in the server's words; `""` when none was named.
    pub tool: &'a str,
    /// The purpose, in the server's words; `""` when none was named.
    pub purpose: &'a str,
    /// How long the grant should last.
    pub requested_ttl: Option<Duration>,
    /// The time of the call, UTC.
    pub now: Timestamp,
}

impl Question<'_> {
    /// SHA-256 over who asks for whom, where and why: everything but the scopes and the time of the call.
    pub(super) fn asker(&self) -> [u8; 32] {
        let mut asker = Canonical::new("broker asker");
        self.subject.encode(&mut asker);
        asker.text(self.issuer).text(self.workload.as_str());
        roles(&mut asker, self.roles);
        roles(&mut asker, self.workload_roles);
        asker
            .optional(self.acr.map(str::as_bytes))
            .optional(self.client_id.map(str::as_bytes))
            .text(self.provider.id.as_str())
            .text(self.provider.environment.as_str())
            .text(self.tool)
            .text(self.purpose);
        for number in [self.auth_time.map(Timestamp::micros), self.requested_ttl_seconds()] {
            asker.optional(number.map(i64::to_be_bytes).as_ref().map(|bytes| &bytes[..]));
        }
        sha256(asker.finish())
    }

    /// Whole minutes since the person signed in; 0 when that lies ahead by clock skew.
    pub(super) fn login_age_minutes(&self) -> Option<i64> {
        let age = self.now.since(self.auth_time?).as_secs() / 60;
        Some(i64::try_from(age).unwrap_or(i64::MAX))
    }

    /// Seconds asked for, rounded up, so that a limit in seconds cannot be passed by a fraction.
    pub(super) fn requested_ttl_seconds(&self) -> Option<i64> {
        let ttl = self.requested_ttl?;
        let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
        Some(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// The time of the call, cut to the minute.
    pub(super) fn minute(&self) -> i64 {
        self.now.unix_seconds().div_euclid(60)
    }
}

/// Appends a set of roles to what is hashed.
pub(super) fn roles(encoding: &mut Canonical, roles: &BTreeSet<String>) {
    encoding.number(roles.len().try_into().unwrap_or(i64::MAX));
    for role in roles {
        encoding.text(role);
    }
}
