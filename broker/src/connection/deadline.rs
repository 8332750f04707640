//! When a connection is over unless its person connects again: the provider's absolute limit, or its idle one where nobody keeps it
//! from passing (RF10).

use super::idle_margin;
use crate::domain::{Connection, ConnectionState, ProviderSpec, Timestamp};
use std::time::Duration;

/// When `connection` is over, if that is known and nothing the broker does by itself moves it. `refresh_ends` = when its refresh token is
/// over for want of use.
pub fn ends_at(
    spec: Option<&ProviderSpec>,
    connection: &Connection,
    refresh_ends: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    if connection.state != ConnectionState::Active {
        return None;
    }
    let unkept = spec.and_then(|spec| spec.idle_limit).map(unkept);
    let idle = refresh_ends.filter(|end| unkept.is_some_and(|unkept| end.since(now) <= unkept));
    [connection.expires_at, idle].into_iter().flatten().filter(|end| *end > now).min()
}

/// A connection in use is refreshed long before so little is left of the time that it may lie idle. Where it was not, nobody uses it, or
/// its owner is blocked, or the provider does not answer.
pub fn unkept(idle_limit: Duration) -> Duration {
    idle_margin(idle_limit) * 2 / 3
}
