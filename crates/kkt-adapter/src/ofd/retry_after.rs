//! `Retry-After` (RFC 9110, 10.2.3): seconds, or an HTTP date.

use jiff::{Timestamp, fmt::rfc2822};
use std::time::Duration;

/// A longer wish is cut to this: the breaker has its own cap, and nobody waits for next year.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait. A date counts from the answer's own `Date`, so that this machine's wall clock does not matter
/// (promise P9); from `wall` only if there is none. A date in the past is zero; nonsense is `None`.
pub(super) fn parse(text: &str, date: Option<&str>, wall: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let until = http_date(text)?;
    let from = date.and_then(http_date).unwrap_or(wall);
    let wait = until.duration_since(from);
    Some(if wait.is_negative() { Duration::ZERO } else { wait.unsigned_abs().min(MAX) })
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_not() {
        let wall: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(parse("120", date, wall), Some(Duration::from_secs(120)));
        assert_eq!(parse("99999999999999999999999", date, wall), Some(MAX));
        // P9: a wall clock that is 35 years off changes nothing.
        assert_eq!(parse(later, date, wall), Some(Duration::from_secs(30)));
        assert_eq!(parse(later, None, wall), Some(Duration::ZERO));
        assert_eq!(parse("Tue, 01 Jan 2030 00:00:05 GMT", None, wall), Some(Duration::from_secs(5)));
        for text in ["", "soon", "-5", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(text, date, wall), None, "{text:?}");
        }
    }
}
