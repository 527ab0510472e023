//! Wait before the next attempt.
//!
//! Full jitter: a random time from zero to a bound that doubles with each retry. Of the common
//! variants it spreads a crowd of retrying proxies best (Brooker: "Exponential backoff and
//! jitter", 2015). `Retry-After` is RFC 9110 section 10.2.3.

use std::time::{Duration, SystemTime};

/// Bounds of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// Bound before the first retry.
    pub base: Duration,
    /// Bound before any retry.
    pub max: Duration,
}

impl Backoff {
    /// Returns the wait before a retry (1 is the first), from a uniform random number.
    pub fn delay(&self, retry: u32, draw: u64) -> Duration {
        let doubled = 1_u32
            .checked_shl(retry.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(doubled).min(self.max);
        let bound_ns = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        let (_, delay_ns) = draw.carrying_mul(bound_ns, draw);
        Duration::from_nanos(delay_ns)
    }
}

/// Reads `Retry-After`, seconds or a date, at most [`RETRY_AFTER_MAX`]; a past date is zero. `None`
/// if it is neither.
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(
        until
            .duration_since(now)
            .unwrap_or_default()
            .min(RETRY_AFTER_MAX),
    )
}

/// Longest wait that an endpoint can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_millis(25),
        max: Duration::from_millis(250),
    };

    #[test]
    fn the_bound_doubles_up_to_the_maximum() {
        let bounds = [
            (0, 25),
            (1, 25),
            (2, 50),
            (3, 100),
            (4, 200),
            (5, 250),
            (40, 250),
        ];
        for (retry, bound) in bounds {
            assert_eq!(BACKOFF.delay(retry, u64::MAX), bound * MS, "retry {retry}");
            assert_eq!(BACKOFF.delay(retry, 0), Duration::ZERO);
            assert_eq!(BACKOFF.delay(retry, 1 << 63), bound * MS / 2);
        }
        assert_eq!(BACKOFF.delay(u32::MAX, u64::MAX), 250 * MS);
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let forever = Backoff {
            base: Duration::MAX,
            max: Duration::MAX,
        };
        assert!(forever.delay(9, u64::MAX) > Duration::from_secs(1 << 33));
        let never = Backoff {
            base: Duration::ZERO,
            max: Duration::ZERO,
        };
        assert_eq!(never.delay(9, u64::MAX), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let cases: [(&str, Option<u64>); 14] = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7\t", Some(7)),
            ("301", Some(300)),
            ("99999999999999999999999999", Some(300)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(text.as_bytes(), now), expected, "{text:?}");
        }
        assert_eq!(retry_after(b"\xff", now), None);
    }
}
