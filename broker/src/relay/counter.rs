//! Calls counted for all replicas, in one small script (GCRA, the generic cell rate algorithm) on the server's own clock.

use crate::{
    domain::{Canonical, Rate},
    keys::KeyRing,
};
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// How long a caller is kept waiting for the count.
const PATIENCE: Duration = Duration::from_millis(50);

/// A key holds when the caller's bucket will be full again, in microseconds; it expires then. Answers how long to wait, 0 = not at all.
const SCRIPT: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = tonumber(redis.call('GET', KEYS[1]) or '') or now
if full < now then full = now end
local per_call, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local next = full + per_call
local wait = next - now - room
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
return 0";

/// The server did not answer, or the connection is gone.
pub(super) struct Lost;

/// What a caller is counted under.
pub(super) fn name(prefix: &str, keys: &KeyRing, caller: &[u8; 32]) -> String {
    let mut message = Canonical::new("broker.v1 call count");
    message.bytes(caller);
    let digits = data_encoding::BASE32HEX_NOPAD.encode(&keys.call_count(&message));
    format!("{prefix}:calls:{}", digits.to_ascii_lowercase())
}

/// Takes one call; how long to wait where there is none. Whatever else the server answers is no objection.
pub(super) async fn ask(
    mut connection: MultiplexedConnection,
    name: &str,
    rate: Rate,
) -> Result<Option<Duration>, Lost> {
    let per_call = 1_000_000 / u64::from(rate.per_second.max(1));
    let room = per_call * u64::from(rate.burst.max(1));
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(name).arg(per_call).arg(room);
    match tokio::time::timeout(PATIENCE, command.query_async::<redis::Value>(&mut connection)).await {
        Ok(Ok(redis::Value::Int(wait))) => Ok(believed(wait, Duration::from_micros(room))),
        Ok(Ok(_)) => Ok(None),
        Ok(Err(error)) if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() => {
            Err(Lost)
        }
        Ok(Err(_)) => Ok(None),
        Err(_) => Err(Lost),
    }
}

/// A bucket is never empty for longer than it takes to fill.
fn believed(wait: i64, fills_in: Duration) -> Option<Duration> {
    let wait = Duration::from_micros(u64::try_from(wait).ok()?);
    (!wait.is_zero()).then(|| wait.min(fills_in))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: AV3
    #[test]
    fn av3_no_answer_keeps_a_caller_waiting_for_longer_than_its_bucket_takes_to_fill() {
        let fills_in = Duration::from_secs(2);
        assert_eq!(believed(0, fills_in), None);
        assert_eq!(believed(-5, fills_in), None);
        assert_eq!(believed(1_000_000, fills_in), Some(Duration::from_secs(1)));
        assert_eq!(believed(i64::MAX, fills_in), Some(fills_in));
    }
}
