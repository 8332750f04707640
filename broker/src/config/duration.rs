//! Durations as people write them: `90s`, `10m`, `1h`, `30d`.

use std::time::Duration;

/// Longest duration accepted: ten years, so that no sum of time and duration overflows.
pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Reads a whole number with one unit: `ms`, `s`, `m`, `h` or `d`. `None` when it is not one, zero, or longer than
/// [`LONGEST`].
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || number.len() > 15 || number.starts_with('0') {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(millis)?);
    (duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_number_and_one_unit_and_nothing_else() {
        assert_eq!(parse("15m"), Some(Duration::from_secs(900)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("1d"), Some(Duration::from_secs(86_400)));
        for bad in
            ["", "15", "m", "0s", "01m", "-1m", "1.5h", "1h30m", " 1m", "1M", "99999d", "9999999999999999d"]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
