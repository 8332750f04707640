//! Connections in use are refreshed before anybody has to wait for it, a few at a time at each provider (RF10).

use super::Rooms;
use crate::{
    connection::{earliest, idle_margin},
    domain::{ProviderSpec, Reason, Refusal},
    storage::{Ending, EndingToken},
};
use futures::{StreamExt, future::join_all, stream};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Most rows looked at for one provider in one round.
const LOOKED_AT: u32 = 256;
/// Refreshes of one provider under way at the same time: callers need their turns too.
const AT_ONE_PROVIDER: usize = 4;
/// After so many in one round that failed, a provider is left alone until the next.
const FAILURES: usize = 4;
/// So long after its first no further one of a provider is begun in a round.
const TURN: Duration = Duration::from_secs(30);
/// A token that ended this long ago is refreshed when somebody asks for it.
const OVER: Duration = Duration::from_secs(600);

/// Refreshes what is due at every provider, all of them side by side; returns how many were refreshed.
///
/// # Errors
/// None of one connection's: those are logged, and it is tried again in the next round.
pub async fn refresh_ahead(rooms: &Rooms) -> Result<usize, Refusal> {
    if !rooms.settings.refresh_ahead.on || !rooms.audit.is_open() {
        return Ok(0);
    }
    let refreshed = join_all(rooms.providers.values().map(|spec| at_provider(rooms, spec))).await;
    refreshed.into_iter().sum()
}

async fn at_provider(rooms: &Rooms, spec: &ProviderSpec) -> Result<usize, Refusal> {
    let now = rooms.clock.now();
    let ending = Ending {
        provider: &spec.id,
        used_since: now.minus(rooms.settings.refresh_ahead.used_within),
        access_from: now.minus(OVER),
        access_until: now.plus(earliest(spec.margin(Duration::MAX))),
        refresh_until: now.plus(spec.idle_limit.map(idle_margin).unwrap_or_default()),
        now,
        limit: LOOKED_AT,
    };
    // A connection has a row for each of its tokens.
    let mut seen = BTreeSet::new();
    let mut due: Vec<EndingToken> = Vec::new();
    for found in rooms.store.endings.ending(&ending).await? {
        match found {
            Ok(found) if seen.insert(found.connection.clone()) => due.push(found),
            Ok(_) => {}
            Err(row) => tracing::error!(column = row.column, "a connection in use cannot be read"),
        }
    }
    let (failures, done, began) = (AtomicUsize::new(0), AtomicUsize::new(0), rooms.clock.monotonic());
    let (failures, done) = (&failures, &done);
    let refresh = |found: EndingToken| async move {
        let over = rooms.clock.monotonic().saturating_sub(began) >= TURN;
        if over || failures.load(Ordering::Relaxed) >= FAILURES {
            return;
        }
        let not_blocked = |names: &_| rooms.not_blocked(names);
        match rooms.tokens.refresh_ahead(&found, spec, jitter(rooms), not_blocked).await {
            Ok(true) => drop(done.fetch_add(1, Ordering::Relaxed)),
            Ok(false) => {}
            Err(refusal) => {
                // A grant that is dead says nothing about the next.
                if refusal.reason != Reason::ProviderGrantRejected {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                tracing::debug!(provider = %spec.id, reason = refusal.reason.as_str(), "a refresh ahead of time failed");
            }
        }
    };
    stream::iter(due).for_each_concurrent(AT_ONE_PROVIDER, refresh).await;
    Ok(done.load(Ordering::Relaxed))
}

/// 0 to 1, new for every look: replicas and connections spread by themselves.
fn jitter(rooms: &Rooms) -> f64 {
    let mut bytes = [0; 2];
    rooms.rng.fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}
