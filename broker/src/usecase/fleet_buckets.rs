//! Token buckets that all replicas share where there is Redis, each replica its own where there is none (AV1, AV3).

use super::bucket::{Buckets, Rate};
use crate::{domain::Clock, relay::Relay};
use std::{sync::Arc, time::Duration};

/// What Redis may keep a caller from: all but this part. It may be wrong, or hostile, and must not silence somebody who revokes.
const LEAST: u32 = 10;

/// One bucket per key, here and in Redis.
pub struct FleetBuckets {
    own: Buckets,
    /// What a caller has here whatever Redis says.
    least: Buckets,
    relay: Relay,
}

impl FleetBuckets {
    /// Keeps at most `keys` buckets here; the least used go first.
    pub fn new(clock: Arc<dyn Clock>, keys: u64, relay: Relay) -> Self {
        Self { own: Buckets::new(Arc::clone(&clock), keys), least: Buckets::new(clock, keys), relay }
    }

    /// Takes one call from `key`'s bucket: from the one here first, which Redis cannot make larger.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub async fn take(&self, key: [u8; 32], rate: Rate) -> Result<(), Duration> {
        self.own.take(key, rate)?;
        let Some(wait) = self.relay.count(&key, rate).await else { return Ok(()) };
        self.least.take(key, least(rate)).map_err(|_| wait)
    }
}

fn least(rate: Rate) -> Rate {
    Rate { per_second: (rate.per_second / LEAST).max(1), burst: (rate.burst / LEAST).max(1) }
}
