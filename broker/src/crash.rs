//! Named points at which the tests kill a broker, or make it stand still. Nothing in a release build.
//!
//! A point is chosen by the environment variable `BROKER_CRASH_POINT` when the process starts, and handed along from there. Each
//! point, and what must come of a crash there, is listed in docs/reliability.md.

use rustix::process::{Signal, getpid, kill_process};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Marks a point that a broker may be told to die at. Nothing without `debug_assertions`.
macro_rules! crash_point {
    ($points:expr, $name:literal) => {
        if cfg!(debug_assertions) {
            $points.reached($name);
        }
    };
}
pub(crate) use crash_point;

/// Every point there is.
pub const POINTS: &[&str] = &[
    "refresh.before_lease",
    "refresh.after_intent",
    "refresh.response_read",
    "refresh.sealed",
    "refresh.spooled",
    "refresh.committed",
    "refresh.discharged",
    "ledger.settlement_committed",
    "issue.before_row",
    "ledger.issue_before_commit",
    "ledger.issue_committed",
    "issue.recorded",
    "code.after_intent",
    "code.response_read",
    "code.spooled",
    "code.settling",
    "code.settled",
    "consent.begun",
    "session.started",
    "consent.approved",
    "consent.completed",
    "consent.confirmed",
    "consent.declined",
    "rewrap.before_commit",
    "rewrap.committed",
];

/// The variable that names a point: `refresh.spooled` kills there, `refresh.sealed:stop` stands still until it is told to go on
/// (SIGCONT), and `issue.recorded#3` waits for the third time.
pub const VARIABLE: &str = "BROKER_CRASH_POINT";

/// Which point this process dies at, if any. Clones count together.
#[derive(Clone, Default)]
pub struct CrashPoints(Option<Arc<Armed>>);

struct Armed {
    name: &'static str,
    signal: Signal,
    /// So often it is passed before.
    times: AtomicI64,
}

impl CrashPoints {
    /// None: how everybody but the tests runs.
    pub fn none() -> Self {
        Self::default()
    }

    /// What the process was started with. Release builds look at nothing.
    ///
    /// # Errors
    /// A text that names no point.
    pub fn of_this_process() -> Result<Self, String> {
        match std::env::var(VARIABLE) {
            Ok(text) if cfg!(debug_assertions) => {
                Self::parse(&text).ok_or_else(|| format!("{VARIABLE} names no crash point"))
            }
            _ => Ok(Self::none()),
        }
    }

    /// Reads a point's name and what happens there.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, times) = match text.split_once('#') {
            Some((text, times)) => (text, i64::from(times.parse::<u32>().ok()?.checked_sub(1)?)),
            None => (text, 0),
        };
        let (name, signal) = match text.strip_suffix(":stop") {
            Some(name) => (name, Signal::STOP),
            None => (text, Signal::KILL),
        };
        let name = POINTS.iter().copied().find(|point| *point == name)?;
        Some(Self(Some(Arc::new(Armed { name, signal, times: AtomicI64::new(times) }))))
    }

    /// Dies or stands still here, if this is the point.
    pub(crate) fn reached(&self, name: &'static str) {
        debug_assert!(POINTS.contains(&name), "{name} is not in the list of crash points");
        let Some(armed) = self.0.as_ref().filter(|armed| armed.name == name) else { return };
        // Once: whoever was made to go on passes from then on.
        if armed.times.fetch_sub(1, Ordering::SeqCst) != 0 {
            return;
        }
        // Whoever runs the tests waits for this line to know that it stands still.
        eprintln!("crash point {name}");
        kill_process(getpid(), armed.signal).ok();
        // The signal may reach another thread first: this one goes no step further meanwhile.
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_that_there_are_can_be_chosen() {
        for point in POINTS {
            assert!(CrashPoints::parse(point).is_some_and(|points| points.0.is_some()), "{point}");
        }
        assert!(CrashPoints::parse("refresh.sealed:stop#2").is_some());
        assert!(CrashPoints::parse("refresh.sealed#0").is_none());
        assert!(CrashPoints::parse("refresh.somewhere").is_none());
        CrashPoints::none().reached("refresh.sealed");
    }

    #[test]
    fn points_are_listed_once() {
        let unique: std::collections::BTreeSet<_> = POINTS.iter().collect();
        assert_eq!(unique.len(), POINTS.len());
    }
}
