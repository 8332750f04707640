//! From a verdict to a permit: promises 3 and 7 in one place.

use super::{
    beyond::{Beyond, Held},
    denial::Denial,
    permit::{Facts, Issue, Permit},
    verdict::Verdict,
};
use crate::domain::{
    Approval, Connection, ConnectionState, ConsentReason, Input, Reason, ScopeSet, SecretKind, SecretRow,
    Subject, Timestamp,
};
use std::{sync::Arc, time::Duration};

/// What bounds a grant besides policy, the token and the requested time.
#[derive(Clone, Copy, Debug)]
pub struct TtlLimits {
    /// When the assertion, or the session it stands for, ends (GR2).
    pub assertion_expires_at: Timestamp,
    /// The time of the call.
    pub now: Timestamp,
}

impl Verdict {
    /// The permit to answer with the access token in `secret`.
    ///
    /// It is made only when the connection is this person's, active and of the provider asked for; when the approval
    /// stands and is this workload's for this connection; when something is left to grant: allowed ∩ approved ∩ asked
    /// for; and when everything else the token can do is either allowed and approved too, or `beyond` says that rules
    /// let this workload hold it, and no rule forbids it. It ends at the earliest of policy's limit, the time asked
    /// for, the token's end and the assertion's (GR1, GR2, GR10).
    ///
    /// # Errors
    /// [`Denial`]; with `consent` set where the user can mend it.
    pub fn issue(
        self,
        subject: &Subject,
        connection: &Connection,
        approval: &Approval,
        secret: &SecretRow,
        beyond: &Beyond,
        limits: TtlLimits,
    ) -> Result<Permit<Issue>, Denial> {
        if let Some(denial) = self.denial() {
            return Err(denial);
        }
        self.own(subject, connection, approval)?;
        self.usable(connection, limits.now)?;
        let granted = self.granted(approval)?;
        let held = self.token_fits(connection, approval, secret, &granted, beyond)?;
        let limit = held.bound(self.limit(&granted));
        let expires_at = self.expiry(limit.0, secret, limits)?;
        let outlives = self.outliving(limit.1, secret, expires_at)?;
        let key = connection.access_key(&secret.scopes, secret.generation);
        let mut trace = Arc::unwrap_or_clone(self.trace);
        held.note(&mut trace);
        trace.inputs.insert("token_outlives_bound", Input::Flag(outlives));
        if let Some(end) = secret.expires_at {
            trace.inputs.insert("token_expires_at", Input::Time(end));
        }
        Ok(Permit::new(
            key,
            Facts { scopes: granted, expires_at: Some(expires_at), policy: Some(Arc::new(trace)) },
        ))
    }

    pub(super) fn no(&self, reason: Reason, message: &str) -> Denial {
        Denial::new(reason, message, &self.trace)
    }

    /// Promise 3: this person's, at this provider, for this workload. A mismatch says no more than "not found".
    fn own(&self, subject: &Subject, connection: &Connection, approval: &Approval) -> Result<(), Denial> {
        let same = self.subject == *subject
            && connection.owner.is(subject)
            && connection.provider == self.provider
            && approval.tenant == subject.tenant
            && approval.connection == connection.id
            && approval.workload == self.workload;
        if same { Ok(()) } else { Err(self.no(Reason::NotFound, "there is no such connection")) }
    }

    fn usable(&self, connection: &Connection, now: Timestamp) -> Result<(), Denial> {
        let over = connection.expires_at.is_some_and(|end| end <= now);
        match connection.state {
            ConnectionState::Active if !over => Ok(()),
            ConnectionState::Active | ConnectionState::ReauthRequired => Err(self
                .no(Reason::ProviderGrantRejected, "the provider ended the connection")
                .mended_by(ConsentReason::ReauthRequired)),
            ConnectionState::Suspended => Err(self.no(Reason::Blocked, "the connection is suspended")),
            ConnectionState::Revoked => Err(self
                .no(Reason::Revoked, "the connection was revoked")
                .mended_by(ConsentReason::NotConnected)),
        }
    }

    fn granted(&self, approval: &Approval) -> Result<ScopeSet, Denial> {
        let not_approved =
            |message| self.no(Reason::PolicyDenied, message).mended_by(ConsentReason::NotApproved);
        if !approval.is_active() {
            return Err(not_approved("the approval was withdrawn"));
        }
        let granted = self.allowed().intersection(&self.asked).intersection(&approval.scopes);
        if granted.is_empty() {
            return Err(not_approved("nothing of what was asked for is approved"));
        }
        Ok(granted)
    }

    /// Promise 7: the token can do what is granted, and nothing else that this workload may not hold.
    fn token_fits<'a>(
        &self,
        connection: &Connection,
        approval: &Approval,
        secret: &SecretRow,
        granted: &ScopeSet,
        beyond: &'a Beyond,
    ) -> Result<Held<'a>, Denial> {
        if secret.connection != connection.id || secret.kind != SecretKind::Access {
            return Err(self.no(Reason::NotFound, "there is no such access token"));
        }
        let held = self.may_hold(&approval.scopes, &secret.scopes, beyond)?;
        if granted.is_subset(&secret.scopes) {
            return Ok(held);
        }
        if granted.is_subset(&connection.scopes) {
            return Err(self.no(Reason::Conflict, "the token at hand is narrower than the grant"));
        }
        Err(self
            .no(Reason::PolicyDenied, "the provider granted fewer scopes than were asked for")
            .mended_by(ConsentReason::ScopesMissing))
    }

    /// GR2: the earliest end counts, and it lies ahead.
    fn expiry(
        &self,
        by_policy: Duration,
        secret: &SecretRow,
        limits: TtlLimits,
    ) -> Result<Timestamp, Denial> {
        let TtlLimits { assertion_expires_at, now } = limits;
        if assertion_expires_at <= now {
            return Err(self.no(Reason::AssertionExpired, "the assertion's time is over"));
        }
        if secret.expires_at.is_some_and(|end| end <= now) {
            return Err(self.no(Reason::Conflict, "the access token has expired meanwhile"));
        }
        let asked = self.requested_ttl.map(|ttl| now.plus(ttl));
        let ends = [Some(now.plus(by_policy)), asked, secret.expires_at, Some(assertion_expires_at)];
        let end = ends.into_iter().flatten().min().unwrap_or(now);
        if end <= now {
            return Err(self.no(Reason::InvalidArgument, "a grant lasts longer than no time"));
        }
        Ok(end)
    }

    /// GR10: whether the token outlives its grant by more than the bound; then every scope's rules must allow that.
    fn outliving(&self, long_lived: bool, secret: &SecretRow, expires_at: Timestamp) -> Result<bool, Denial> {
        let outlives = secret.expires_at.is_none_or(|end| end.since(expires_at) > self.max_token_outlive);
        if outlives && !long_lived {
            let message = "the provider's token lives longer than policy allows";
            return Err(self.no(Reason::TokenOutlivesGrant, message).by_rules(self.trace.rules.to_vec()));
        }
        Ok(outlives)
    }
}
