//! Which calls are traced: decided once, before anything is made for it.

use super::Remote;
use crate::{
    config::Telemetry,
    domain::{Clock, Rng},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Decides of a call whether it is traced.
#[derive(Clone, Default)]
pub struct Sampling(Option<Arc<Rules>>);

struct Rules {
    /// Of 2⁶⁴: how many random numbers mean yes.
    share: u128,
    follow: bool,
    most: u32,
    /// A second of the monotonic clock, and what was traced in it.
    second: Mutex<Second>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

#[derive(Default)]
struct Second {
    number: u64,
    all: u32,
    /// Those of them that their callers wanted.
    followed: u32,
}

/// Nothing to see.
impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sampling({})", if self.0.is_some() { "on" } else { "off" })
    }
}

impl Sampling {
    /// Nothing is traced.
    pub fn off() -> Self {
        Self(None)
    }

    /// As configured.
    pub fn of(settings: &Telemetry, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        // A share of 2⁶⁴, all of it at most.
        let share = (settings.sample_ratio.clamp(0.0, 1.0) * 2_f64.powi(64)) as u128;
        let (follow, most) = (settings.follow_callers, settings.max_traces_per_second);
        Self(Some(Arc::new(Rules { share, follow, most, second: Mutex::default(), clock, rng })))
    }

    /// Whether anything is.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a call is traced that a workload makes, within `remote` if it says so.
    pub fn of_workload(&self, remote: Option<&Remote>) -> bool {
        let Some(rules) = &self.0 else { return false };
        match remote.filter(|_| rules.follow) {
            Some(remote) => remote.sampled && rules.has_room(true),
            None => rules.drawn() && rules.has_room(false),
        }
    }

    /// Whether a request is traced that anybody may make: what it says itself counts for nothing.
    pub fn of_anybody(&self) -> bool {
        self.0.as_ref().is_some_and(|rules| rules.drawn() && rules.has_room(false))
    }
}

impl Rules {
    fn drawn(&self) -> bool {
        if self.share == 0 {
            return false;
        }
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u128::from(u64::from_le_bytes(bytes)) < self.share
    }

    /// Callers who want theirs traced have half of the room: whoever asks for all of it hides nobody else's.
    fn has_room(&self, followed: bool) -> bool {
        let now = self.clock.monotonic().as_secs();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.number != now {
            *second = Second { number: now, ..Second::default() };
        }
        if second.all >= self.most || (followed && second.followed >= self.most.div_ceil(2)) {
            return false;
        }
        second.all += 1;
        second.followed += u32::from(followed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ManualClock, SystemRng, Timestamp};
    use http::{HeaderMap, HeaderValue};
    use std::{collections::BTreeMap, time::Duration};

    fn settings(sample_ratio: f64, follow_callers: bool, max_traces_per_second: u32) -> Telemetry {
        Telemetry {
            endpoint: "http://127.0.0.1:4317".parse().unwrap(),
            ca_file: None,
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(1),
            service_name: String::new(),
            resource: BTreeMap::new(),
            sample_ratio,
            follow_callers,
            max_traces_per_second,
        }
    }

    fn sampling(settings: &Telemetry) -> (Sampling, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        (Sampling::of(settings, clock.clone(), Arc::new(SystemRng::default())), clock)
    }

    fn remote(flags: &str) -> Option<Remote> {
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        Remote::read(&HeaderMap::from_iter([(
            "traceparent".parse().unwrap(),
            HeaderValue::from_str(&parent).unwrap(),
        )]))
    }

    #[test]
    fn a_workloads_own_decision_holds_and_nobody_elses() {
        let (yes, no) = (remote("01"), remote("00"));
        let (never, _) = sampling(&settings(0.0, true, 1000));
        assert!(never.of_workload(yes.as_ref()) && !never.of_workload(no.as_ref()));
        assert!(!never.of_workload(None) && !never.of_anybody());
        let (always, _) = sampling(&settings(1.0, true, 1000));
        assert!(always.of_workload(None) && always.of_anybody() && !always.of_workload(no.as_ref()));
        let (own, _) = sampling(&settings(1.0, false, 1000));
        assert!(own.of_workload(no.as_ref()), "callers are not followed");
        assert!(!Sampling::off().of_workload(yes.as_ref()));
        let (half, _) = sampling(&settings(0.5, true, 100_000));
        let drawn = (0..10_000).filter(|_| half.of_anybody()).count();
        assert!((4_000..6_000).contains(&drawn), "{drawn}");
    }

    #[test]
    fn no_more_than_so_many_in_a_second_whoever_asks() {
        let (few, clock) = sampling(&settings(1.0, true, 4));
        let yes = remote("01");
        let followed = |_: &i32| few.of_workload(yes.as_ref());
        let drawn = |_: &i32| few.of_workload(None);
        assert_eq!((0..10).filter(followed).count(), 2, "half of them");
        assert_eq!((0..10).filter(drawn).count(), 2, "the rest is everybody's");
        clock.advance(Duration::from_secs(1));
        assert_eq!((0..10).filter(drawn).count(), 4);
        assert_eq!((0..10).filter(followed).count(), 0);
    }
}
