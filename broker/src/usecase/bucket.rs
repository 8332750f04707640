//! Token buckets: how often one caller may call (AV1). Kept per key, bounded, on the monotonic clock.

pub use crate::domain::Rate;

use crate::domain::Clock;
use ring::digest;
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Bad credentials from one peer.
pub const FAILURES: Rate = Rate { per_second: 10, burst: 50 };

type Level = Arc<Mutex<(f64, Duration)>>;

/// One bucket per key.
pub struct Buckets {
    clock: Arc<dyn Clock>,
    levels: moka::sync::Cache<[u8; 32], Level>,
}

impl Buckets {
    /// Keeps at most `keys` buckets; the least used go first.
    pub fn new(clock: Arc<dyn Clock>, keys: u64) -> Self {
        Self { clock, levels: moka::sync::Cache::new(keys) }
    }

    /// How long `key`'s bucket is empty; takes nothing.
    pub fn wait(&self, key: [u8; 32], rate: Rate) -> Option<Duration> {
        let level = self.levels.get(&key)?;
        let level = level.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.clock.monotonic().saturating_sub(level.1).as_secs_f64();
        let now = level.0 + since * f64::from(rate.per_second);
        (now < 1.0).then(|| Duration::from_secs_f64((1.0 - now) / f64::from(rate.per_second.max(1))))
    }

    /// Takes one call from `key`'s bucket.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub fn take(&self, key: [u8; 32], rate: Rate) -> Result<(), Duration> {
        let now = self.clock.monotonic();
        let full = f64::from(rate.burst);
        let level = self.levels.get_with(key, || Arc::new(Mutex::new((full, now))));
        let mut level = level.lock().unwrap_or_else(PoisonError::into_inner);
        let refill = now.saturating_sub(level.1).as_secs_f64() * f64::from(rate.per_second);
        *level = ((level.0 + refill).min(full), now);
        if level.0 >= 1.0 {
            level.0 -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - level.0) / f64::from(rate.per_second.max(1))))
    }
}

/// The bucket of one caller: by credential, else by network address.
pub fn bucket_key(what: &str, credential: Option<&str>, peer: Option<IpAddr>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(what.as_bytes());
    // A listener on `[::]` shows an IPv4 peer as `::ffff:a.b.c.d`, and the first half of that is everybody's.
    match (credential, peer.map(|ip| ip.to_canonical())) {
        (Some(credential), _) => context.update(credential.as_bytes()),
        (None, Some(IpAddr::V4(ip))) => context.update(&ip.octets()),
        // One IPv6 customer is a /64.
        (None, Some(IpAddr::V6(ip))) => context.update(&ip.octets()[..8]),
        (None, None) => {}
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ManualClock, Timestamp};

    #[test]
    fn a_bucket_empties_and_refills_and_keys_do_not_share() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        let buckets = Buckets::new(clock.clone(), 10);
        let rate = Rate { per_second: 2, burst: 2 };
        assert!(buckets.take([1; 32], rate).is_ok());
        assert!(buckets.take([1; 32], rate).is_ok());
        assert_eq!(buckets.take([1; 32], rate), Err(Duration::from_millis(500)));
        assert!(buckets.take([2; 32], rate).is_ok());
        clock.advance(Duration::from_millis(500));
        assert!(buckets.take([1; 32], rate).is_ok());
    }

    /// Proves: AV1
    #[test]
    fn av1_ipv4_peers_of_a_dual_stack_listener_do_not_share_a_bucket() {
        let key = |ip: &str| bucket_key("calls", None, Some(ip.parse().unwrap()));
        assert_ne!(key("::ffff:192.0.2.1"), key("::ffff:192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"), "whichever listener it came to");
        assert_ne!(key("::ffff:192.0.2.1"), key("::1"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"), "one customer");
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }
}
