//! Which connections are to be refreshed before anybody has to wait for it.

use super::{Readable, StoreError};
use crate::domain::{ConnectionId, ProviderId, TenantId, Timestamp};
use async_trait::async_trait;

/// Which connections are to be refreshed before anybody has to wait for it.
#[async_trait]
pub trait Endings: Send + Sync {
    /// Connections in use at one provider, active and left alone by everybody, with a token that ends in the time asked for; soonest
    /// first, one row for each such token. What the rows say is unchecked.
    async fn ending(&self, which: &Ending<'_>) -> Result<Vec<Readable<EndingToken>>, StoreError>;
    /// How many active connections are over after `now` and by the time asked for.
    async fn count_over(&self, which: &Over<'_>) -> Result<u64, StoreError>;
}

/// Which tokens are looked for.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// The provider.
    pub provider: &'a ProviderId,
    /// Only connections from which a grant was issued since.
    pub used_since: Timestamp,
    /// Access tokens that end from this time on,
    pub access_from: Timestamp,
    /// and until this one.
    pub access_until: Timestamp,
    /// Refresh tokens that end until this time, and not yet by `now`.
    pub refresh_until: Timestamp,
    /// The broker's own time.
    pub now: Timestamp,
    /// So many at most.
    pub limit: u32,
}

/// A connection with such a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingToken {
    /// Its tenant.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
}

/// Which connections are counted.
#[derive(Clone, Debug)]
pub struct Over<'a> {
    /// The provider.
    pub provider: &'a ProviderId,
    /// The broker's own time.
    pub now: Timestamp,
    /// Those whose authorization is over by then,
    pub absolute_until: Timestamp,
    /// and those whose refresh token is over by then for want of use.
    pub idle_until: Timestamp,
}
