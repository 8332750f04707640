//! One thing asked for, once it is known who asks for whom: what every way of issuing does with it, step by step.

use super::{Caller, Rooms, request::GrantRequest};
use crate::{
    audit::Refused,
    connection::{Resolved, Usable, Wanted, resolve},
    domain::{
        Approval, EventDraft, ExposeSecret, Names, ProviderSpec, Reason, Refusal, RequestClaim, ScopeSet,
        SecretString,
    },
    identity::VerifiedAssertion,
    policy::{Beyond, Denial, Question, TtlLimits, Verdict},
    trace::{self, step},
};
use std::sync::Arc;

/// What one request is about.
pub(super) struct Ask<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) caller: &'a Caller,
    pub(super) request: &'a GrantRequest,
    pub(super) assertion: &'a VerifiedAssertion,
    pub(super) spec: &'a ProviderSpec,
    pub(super) names: Names,
    pub(super) epoch: i64,
}

/// Whether a refusal still has to be written down.
pub(super) enum Failed {
    /// A row says so already.
    Recorded(Refusal),
    /// Nothing says so yet.
    Unrecorded(Refusal),
    /// The request id was taken at the same moment; a row says so already.
    Duplicate,
}

impl<E: Into<Refusal>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Unrecorded(error.into())
    }
}

impl Failed {
    /// The commit itself refused: it is in the log, or the log could not be written.
    pub(super) fn by_commit(refused: Refused) -> Self {
        match refused {
            Refused::Duplicate(_) => Self::Duplicate,
            refused => Self::Recorded(refused.into()),
        }
    }

    /// A denial, with every rule that decided in the event about it.
    pub(super) fn denied(denial: Denial, about: &mut EventDraft) -> Self {
        about.policy = Some(denial.policy.clone());
        denial.into()
    }
}

/// Who is meant. An absent or bad assertion ends here; nothing is served from anything shared instead (ID15).
pub(super) async fn person(
    rooms: &Rooms,
    caller: &Caller,
    assertion: &SecretString,
) -> Result<VerifiedAssertion, Refusal> {
    trace::within(step!("verify assertion"), rooms.assertion(assertion.expose_secret(), caller)).await
}

/// Where it is asked for. Fills in what of the request the event says.
pub(super) fn provider<'a>(
    rooms: &'a Rooms,
    caller: &Caller,
    request: &GrantRequest,
    about: &mut EventDraft,
) -> Result<&'a ProviderSpec, Refusal> {
    about.scopes_asked = request.scopes.clone();
    about.tool = Arc::clone(&request.tool);
    about.purpose = Arc::clone(&request.purpose);
    let spec = rooms.provider_for(caller.id(), &request.provider)?;
    about.provider = Some(spec.id.clone());
    request.check_scopes(spec)?;
    Ok(spec)
}

impl<'a> Ask<'a> {
    /// Puts the person into the event, and looks whether anybody concerned is blocked.
    pub(super) fn of(
        rooms: &'a Rooms,
        caller: &'a Caller,
        request: &'a GrantRequest,
        assertion: &'a VerifiedAssertion,
        spec: &'a ProviderSpec,
        about: &mut EventDraft,
    ) -> Result<Self, Refusal> {
        caller.call.put(about, assertion.subject(), Some(assertion.label()));
        about.client_id = assertion.client_id().map(Arc::from);
        about.assertion_sha256 = Some(data_encoding::HEXLOWER.encode(assertion.sha256()).into());
        let mut names = caller.names(assertion);
        names.provider = Some(spec.id.clone());
        let epoch = rooms.not_blocked(&names)?;
        Ok(Self { rooms, caller, request, assertion, spec, names, epoch })
    }

    /// What policy says; a refusal of everything asked for is a denial.
    pub(super) fn decide(&self, about: &mut EventDraft) -> Result<Verdict, Failed> {
        let span = step!(
            "policy decision",
            broker.provider = self.spec.id.as_str(),
            broker.workload = self.caller.id().as_str(),
            broker.scopes = self.request.scopes.len(),
        );
        let verdict = span.in_scope(|| self.rooms.policy.decide(&self.question()));
        about.policy = Some(verdict.trace().clone());
        match verdict.denial() {
            Some(denial) => {
                trace::failed(&span, denial.reason.as_str());
                Err(denial.into())
            }
            None => Ok(verdict),
        }
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question {
            subject: self.assertion.subject(),
            issuer: self.assertion.issuer(),
            roles: self.assertion.roles(),
            acr: self.assertion.acr(),
            auth_time: self.assertion.auth_time(),
            client_id: self.assertion.client_id(),
            workload: self.caller.id(),
            workload_roles: self.caller.workload.roles(),
            provider: self.spec,
            scopes: &self.request.scopes,
            tool: &self.request.tool,
            purpose: &self.request.purpose,
            requested_ttl: self.request.ttl,
            now: self.rooms.clock.now(),
        }
    }

    /// GR5: what answered this request id before, if it was the same request.
    pub(super) async fn earlier_claim(&self) -> Result<Option<RequestClaim>, Refusal> {
        let Some(key) = self.request.claim_key(self.caller.id(), self.assertion.subject()) else {
            return Ok(None);
        };
        let earlier = self.rooms.store.requests.by_key(&key, self.rooms.clock.now()).await?;
        match earlier {
            Some(claim) if claim.fingerprint != self.fingerprint(&claim) => {
                Err(Refusal::new(Reason::RequestIdReused))
            }
            other => Ok(other),
        }
    }

    pub(super) fn fingerprint(&self, claim: &RequestClaim) -> [u8; 32] {
        self.request.fingerprint(&self.rooms.keys, self.caller.id(), self.assertion, claim)
    }

    pub(super) async fn resolve(&self, verdict: &Verdict) -> Result<Resolved, Refusal> {
        let wanted = Wanted {
            subject: self.assertion.subject(),
            workload: self.caller.id(),
            provider: &self.spec.id,
            scopes: verdict.allowed(),
            connection: self.request.connection.as_ref(),
        };
        let (key, rules) = (self.rooms.row_key(), self.rooms.audit.rules());
        // Rows kept in memory may say yes, which the commit checks; only the database itself says no.
        let find = async {
            match resolve(&self.rooms.hot, &key, &rules, &wanted).await {
                Ok(Resolved::Usable(usable)) => Ok(Resolved::Usable(usable)),
                _ => Box::pin(resolve(&self.rooms.store, &key, &rules, &wanted)).await,
            }
        };
        trace::within(step!("find connection"), find).await
    }

    /// What rules say about a token with these scopes, beyond what can be granted.
    pub(super) fn beyond(&self, verdict: &Verdict, approval: &Approval, token: &ScopeSet) -> Beyond {
        self.rooms.policy.beyond(verdict, &self.question(), &approval.scopes, token)
    }

    pub(super) fn names_of(&self, usable: &Usable) -> Names {
        Names {
            connection: Some(usable.connection.id.clone()),
            approval: Some(usable.approval.id.clone()),
            ..self.names.clone()
        }
    }

    pub(super) fn limits(&self) -> TtlLimits {
        TtlLimits { assertion_expires_at: self.assertion.expires_at(), now: self.rooms.clock.now() }
    }
}
