//! Connections that are over soon unless their people connect again: operators see how many, at which provider (RF10).

use super::Rooms;
use crate::{connection::unkept, domain::Refusal, storage::Over};
use std::time::Duration;

/// So long before their end they are counted.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Counts them at every provider with such a limit.
///
/// # Errors
/// The store's.
pub async fn count_ending(rooms: &Rooms) -> Result<(), Refusal> {
    let now = rooms.clock.now();
    for spec in rooms.providers.values() {
        if spec.idle_limit.is_none() && spec.absolute_limit.is_none() {
            continue;
        }
        let idle = spec.idle_limit.map(unkept).unwrap_or_default();
        let over = Over {
            provider: &spec.id,
            now,
            absolute_until: now.plus(SOON),
            idle_until: now.plus(idle.min(SOON)),
        };
        let count = rooms.store.endings.count_over(&over).await?;
        rooms.metrics.connections_ending(spec.id.as_str(), count);
    }
    Ok(())
}
