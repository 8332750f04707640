//! A clock that moves when told to, or when somebody sleeps on it.

use crate::Clock;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

#[derive(Clone, Default)]
pub(super) struct TestClock(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    elapsed: Duration,
    sleeps: Vec<Duration>,
}

impl TestClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.lock().expect("clock").elapsed += by;
    }

    pub(super) fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().expect("clock").sleeps.clone()
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().expect("clock").elapsed
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.0.lock().expect("clock");
        state.sleeps.push(delay);
        state.elapsed += delay;
        Box::pin(std::future::ready(()))
    }
}
