//! One clock for everybody: the broker's, in the shapes the other parts read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use broker::domain::Clock;

use crate::clock::Now;

/// The broker's clock as the peers and the browsers read it.
pub(super) fn seconds_of(clock: &Arc<dyn Clock>) -> Now {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now().unix_seconds())
}

/// The broker's clock as `broker-client` reads it. Pauses between attempts are real.
pub struct ClientClock(pub Arc<dyn Clock>);

impl broker_client::Clock for ClientClock {
    fn now(&self) -> SystemTime {
        let micros = u64::try_from(self.0.now().micros()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(delay))
    }
}
