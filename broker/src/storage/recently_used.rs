//! Which connections this process marked as used a moment ago: a busy one is written once a minute, not with every commit.

use crate::domain::{ConnectionId, Timestamp};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How exact `last_used_at` is: a busy connection's row is written at most this often.
pub(super) const LAST_USED_EXACT_TO: Duration = Duration::from_secs(60);
/// Most connections remembered; more are marked more often than they have to be.
const REMEMBERED: usize = 100_000;

/// When each was last marked by this process. What it forgets costs a statement, never a mark.
#[derive(Default)]
pub(super) struct RecentlyUsed(Mutex<HashMap<ConnectionId, Timestamp>>);

impl RecentlyUsed {
    /// Those of `used` that are to be marked at `now`.
    pub(super) fn due<'a>(
        &self,
        used: impl Iterator<Item = &'a ConnectionId>,
        now: Timestamp,
    ) -> BTreeSet<ConnectionId> {
        let marked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.filter(|id| marked.get(*id).is_none_or(|at| !recent(*at, now))).cloned().collect()
    }

    /// Their marks are committed.
    pub(super) fn marked(&self, ids: BTreeSet<ConnectionId>, now: Timestamp) {
        let mut marked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marked.extend(ids.into_iter().map(|id| (id, now)));
        if marked.len() > REMEMBERED {
            marked.retain(|_, at| recent(*at, now));
        }
        if marked.len() > REMEMBERED {
            marked.clear();
        }
    }
}

/// A clock that was set back leaves no mark recent.
fn recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus(LAST_USED_EXACT_TO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRng;

    #[test]
    fn a_mark_is_due_a_minute_after_the_last_one_that_was_committed() {
        let recently = RecentlyUsed::default();
        let id = ConnectionId::random(&SystemRng::default());
        let start = Timestamp::from_unix_seconds(1_000);
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let due = |now| recently.due([&id, &id].into_iter(), now).len();
        assert_eq!(due(start), 1, "used twice");
        assert_eq!(due(start), 1, "the commit may have failed");
        recently.marked(recently.due([&id].into_iter(), start), start);
        assert_eq!((due(at(0)), due(at(59)), due(at(60))), (0, 0, 1));
        assert_eq!(due(start.minus(Duration::from_secs(1))), 1, "the clock was set back");
    }
}
