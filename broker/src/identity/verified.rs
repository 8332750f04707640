//! What verification yields. Only this room can make these values.

use super::{WorkloadSpec, claims::Claims};
use crate::domain::{AssertionUse, Subject, TenantId, Timestamp, WorkloadId};
use std::{collections::BTreeSet, sync::Arc};

/// By what kind of credential a workload proved itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CredentialKind {
    /// A static secret.
    StaticSecret,
    /// A signed token.
    Jwt,
}

/// A workload that proved who it is.
#[derive(Clone, Debug)]
pub struct VerifiedWorkload {
    pub(super) spec: Arc<WorkloadSpec>,
    pub(super) kind: CredentialKind,
    pub(super) expires_at: Option<Timestamp>,
}

impl VerifiedWorkload {
    /// Its name.
    pub fn id(&self) -> &WorkloadId {
        &self.spec.id
    }

    /// What people see; from the operator.
    pub fn display_name(&self) -> &str {
        &self.spec.display_name
    }

    /// Its roles.
    pub fn roles(&self) -> &Arc<BTreeSet<String>> {
        &self.spec.roles
    }

    /// Whether it serves this tenant.
    pub fn serves(&self, tenant: &TenantId) -> bool {
        self.spec.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }

    /// Its declaration.
    pub fn spec(&self) -> &Arc<WorkloadSpec> {
        &self.spec
    }

    /// How it proved itself.
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// When the credential it showed ends, UTC; `None` = no end.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// A person's assertion that was right when it was checked.
#[derive(Clone, Debug)]
pub struct VerifiedAssertion {
    pub(super) claims: Arc<Claims>,
    pub(super) issuer: Arc<str>,
    pub(super) issuer_name: Arc<str>,
    pub(super) sha256: [u8; 32],
    pub(super) one_time: Option<AssertionUse>,
}

impl VerifiedAssertion {
    /// Whom it names.
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }

    /// The issuer's `iss`; what a block of an issuer names.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The operator's name for the issuer.
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// Roles from the issuer's roles claim.
    pub fn roles(&self) -> &Arc<BTreeSet<String>> {
        &self.claims.roles
    }

    /// Authentication context class (`acr`).
    pub fn acr(&self) -> Option<&str> {
        self.claims.acr.as_deref()
    }

    /// When the person last proved themselves to the IdP (`auth_time`), UTC.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.claims.auth_time
    }

    /// `iat`, UTC.
    pub fn issued_at(&self) -> Timestamp {
        self.claims.times.issued_at
    }

    /// `exp`, UTC, without skew: it may lie up to the issuer's skew behind the clock.
    pub fn expires_at(&self) -> Timestamp {
        self.claims.times.expires_at
    }

    /// The AI client that obtained it (`azp` or `client_id`; ID17).
    pub fn client_id(&self) -> Option<&str> {
        self.claims.client_id.as_deref()
    }

    /// `act.sub`, who acted when it was obtained.
    pub fn actor(&self) -> Option<&str> {
        self.claims.actor.as_deref()
    }

    /// A name to show, `""` = none. Never a key.
    pub fn label(&self) -> &str {
        &self.claims.label
    }

    /// The IdP's session (`sid`).
    pub fn sid(&self) -> Option<&str> {
        self.claims.sid.as_deref()
    }

    /// The token's id (`jti`).
    pub fn jti(&self) -> Option<&str> {
        self.claims.jti.as_deref()
    }

    /// What has to be used up with what it is answered with (ID12); `None` = it is good until it ends.
    pub fn one_time(&self) -> Option<&AssertionUse> {
        self.one_time.as_ref()
    }

    /// SHA-256 of the token's text. Not an identity of its content: an ECDSA signature has a second valid form.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

/// A person who signed in on the pages.
#[derive(Clone, Debug)]
pub struct VerifiedLogin(pub(super) VerifiedAssertion);

impl std::ops::Deref for VerifiedLogin {
    type Target = VerifiedAssertion;

    fn deref(&self) -> &VerifiedAssertion {
        &self.0
    }
}
