//! Plaintext that came through the door, and the two ways on from here: into an answer, or to the provider.

use crate::{
    domain::{EventId, ExposeSecret, Kind, Position, SecretString, TenantId},
    policy::{ExchangeCode, Facts, Issue, Purpose, Refresh, RevokeAtProvider},
};
use std::{fmt, marker::PhantomData};

/// An opened value. Its purpose decides where it may go.
pub struct Opened<P: Purpose> {
    secret: SecretString,
    tenant: TenantId,
    event: EventId,
    position: Position,
    facts: Facts,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> Opened<P> {
    pub(super) fn new(
        secret: SecretString,
        tenant: TenantId,
        event: EventId,
        position: Position,
        facts: Facts,
    ) -> Self {
        Self { secret, tenant, event, position, facts, purpose: PhantomData }
    }

    /// A value as if it had come through the door, for tests of the rooms that spend it.
    #[cfg(test)]
    pub(crate) fn for_test_in(
        tenant: &str,
        secret: SecretString,
        event: EventId,
        position: Position,
    ) -> Self {
        let tenant = TenantId::parse(tenant).expect("a tenant's name");
        Self::new(secret, tenant, event, position, Facts::default())
    }

    /// Whose value it is: the tenant that the permit named.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The event that recorded the permit.
    pub fn event(&self) -> &EventId {
        &self.event
    }
}

impl<P: Purpose> fmt::Debug for Opened<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened<{}>({})", P::Secret::COLUMN, self.event)
    }
}

/// What a caller is answered with. Its id is that of its audit event.
#[derive(Debug)]
pub struct Grant {
    /// The grant's id.
    pub id: EventId,
    /// Where its event stands in the log.
    pub position: Position,
    /// What was decided.
    pub facts: Facts,
    token: SecretString,
}

impl Grant {
    /// The token, for the answer to the caller and nothing else.
    pub fn expose_token(&self) -> &str {
        self.token.expose_secret()
    }
}

impl Opened<Issue> {
    /// The answer. Only an access token opened for issuing can become one.
    pub fn into_grant(self) -> Grant {
        Grant { id: self.event, position: self.position, facts: self.facts, token: self.secret }
    }
}

impl Opened<Refresh> {
    /// The refresh token, for the provider's token endpoint and nowhere else.
    pub(crate) fn spend(self) -> SecretString {
        self.secret
    }
}

impl Opened<ExchangeCode> {
    /// The PKCE verifier, for the provider's token endpoint and nowhere else.
    pub(crate) fn spend(self) -> SecretString {
        self.secret
    }
}

impl<K: Kind> Opened<RevokeAtProvider<K>> {
    /// The token to be revoked, for the provider's revocation endpoint and nowhere else.
    pub(crate) fn spend(self) -> SecretString {
        self.secret
    }
}
