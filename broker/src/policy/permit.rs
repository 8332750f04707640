//! A permit: policy's yes to opening one stored value for one purpose. Made here and nowhere else.

use crate::domain::{
    AccessToken, EventKind, Kind, PkceVerifier, PolicyTrace, RecordKey, RefreshToken, ScopeSet, Timestamp,
};
use std::{marker::PhantomData, sync::Arc};

mod private {
    pub trait Closed {}
}

/// What a value is opened for. Fixes which column opens and which event says so. Closed.
pub trait Purpose: private::Closed + Send + Sync + 'static {
    /// The kind of secret this purpose may open.
    type Secret: Kind;
    /// The event that records the permit.
    const EVENT: EventKind;
}

/// Answer a caller with an access token.
pub enum Issue {}
/// Obtain a fresh access token from the provider.
pub enum Refresh {}
/// Redeem an authorization code.
pub enum ExchangeCode {}
/// Revoke a token at the provider.
pub struct RevokeAtProvider<K>(PhantomData<fn() -> K>);

impl private::Closed for Issue {}
impl private::Closed for Refresh {}
impl private::Closed for ExchangeCode {}
impl<K: Kind> private::Closed for RevokeAtProvider<K> {}
impl Purpose for Issue {
    type Secret = AccessToken;
    const EVENT: EventKind = EventKind::GrantIssue;
}
impl Purpose for Refresh {
    type Secret = RefreshToken;
    const EVENT: EventKind = EventKind::RefreshIntent;
}
impl Purpose for ExchangeCode {
    type Secret = PkceVerifier;
    const EVENT: EventKind = EventKind::ConsentExchange;
}
impl<K: Kind> Purpose for RevokeAtProvider<K> {
    type Secret = K;
    const EVENT: EventKind = EventKind::ProviderRevokeIntent;
}

/// What was decided; the audit room writes these facts into the event, whatever the draft says.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The scopes granted.
    pub scopes: ScopeSet,
    /// When the grant ends.
    pub expires_at: Option<Timestamp>,
    /// What policy saw and which rules decided.
    pub policy: Option<Arc<PolicyTrace>>,
}

/// Policy's yes: names one (tenant, row, column, generation). Neither `Clone` nor `Copy`.
#[must_use = "a permit does nothing until it is recorded"]
pub struct Permit<P: Purpose> {
    key: RecordKey,
    facts: Facts,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> Permit<P> {
    pub(super) fn new(key: RecordKey, facts: Facts) -> Self {
        Self { key, facts, purpose: PhantomData }
    }

    /// The one value it opens.
    pub fn key(&self) -> &RecordKey {
        &self.key
    }

    /// What was decided.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

#[cfg(test)]
impl<P: Purpose> Permit<P> {
    /// For the unit tests of the rooms below, which take permits apart from how policy comes to them.
    pub(crate) fn for_test(key: RecordKey, facts: Facts) -> Self {
        Self::new(key, facts)
    }
}
