//! Brokers that have a Redis server of the test's own.

use std::time::Duration;

use broker::relay::Relay;
use broker_testkit::Redis;
use demo::world::Options;

/// Longest until a broker notices that Redis is there, or gone.
const NOTICED: Duration = Duration::from_secs(30);

/// Options whose brokers speak through `redis`.
pub fn speaking_through(redis: &Redis, options: Options) -> Options {
    Options { extra_config: options.extra_config + &redis.section(), ..options }
}

/// Waits until a broker hears itself, or does not any more.
///
/// # Panics
/// When that takes too long.
pub async fn works(relay: &Relay, wanted: bool) {
    let noticed = async {
        while relay.works() != wanted {
            tokio::task::yield_now().await;
        }
    };
    let within = tokio::time::timeout(NOTICED, noticed).await;
    within.unwrap_or_else(|_| panic!("Redis works for the broker: {}", relay.works()));
}
