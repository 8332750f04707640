//! Where in the log's order a time begins. The order is (stream, seq), and a stream's id begins with the time it was opened at: events of a
//! time are in no stream that ended before. Later streams are no bound: one clock that ran ahead gives every id after it a time that has
//! not come yet, on every replica, and an event must not be missed for that.

use super::AuditFilter;
use crate::domain::{Position, StreamId, Timestamp};
use std::time::Duration;

/// The windows, counted from 1970 in UTC, at whose ends streams end: one holds events of a day at most.
pub const STREAM_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How far a writer's clock may have been put back while its stream was open, or the end of a stream put off, so that a time still
/// finds its events. The time of each event is compared all the same: this only bounds where to look.
const SLACK: Duration = STREAM_WINDOW;

impl AuditFilter {
    /// The position after which what matches begins, and `after` at the earliest.
    pub(super) fn begins_after(&self, after: Option<&Position>) -> (String, i64) {
        let from = self.from.map(|from| StreamId::bound(minus(from, STREAM_WINDOW + SLACK)));
        let after = after.map(|position| (position.stream.to_string(), position.seq));
        from.map(|stream| (stream, 0)).max(after).unwrap_or_default()
    }
}

fn minus(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.micros().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRng;

    const HOUR: i64 = 3_600_000_000;

    fn stream(at: i64) -> StreamId {
        StreamId::opened_at(Timestamp::from_micros(at), &SystemRng::default())
    }

    #[test]
    fn a_time_is_looked_for_from_the_streams_of_its_day_on() {
        let at = 20_000 * 24 * HOUR;
        let [from, until] = [at, at + HOUR].map(|at| Some(Timestamp::from_micros(at)));
        let filter = AuditFilter { from, until, ..AuditFilter::default() };
        let looked_in = |stream: &StreamId| stream.as_str() > filter.begins_after(None).0.as_str();
        for hours in [-47, -24, -1, 0, 1, 24, 1000] {
            assert!(looked_in(&stream(at + hours * HOUR)), "opened {hours} hours from then");
        }
        for hours in [-49, -1000] {
            assert!(!looked_in(&stream(at + hours * HOUR)), "opened {hours} hours from then");
        }
        let late = Position { stream: stream(at), seq: 7 };
        assert_eq!(
            filter.begins_after(Some(&late)),
            (late.stream.to_string(), 7),
            "the page before ended there"
        );
        let early = Position { stream: stream(at - 100 * HOUR), seq: 7 };
        assert!(filter.begins_after(Some(&early)).0 > early.stream.to_string());
    }

    #[test]
    fn without_a_time_all_of_the_log_is_looked_through() {
        let filter = AuditFilter::default();
        assert_eq!(filter.begins_after(None), (String::new(), 0));
    }
}
