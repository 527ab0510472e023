//! `X-Request-Timeout-Ms`: the time that a caller waits for the head of the response.

use std::time::Duration;

use http::HeaderValue;

use super::headers::{Headers, Known};

/// Reads the time that the caller waits: the shortest, if there are several lines. A value that is
/// not a number of 1 to 10 digits is ignored.
pub fn read(headers: &Headers) -> Option<Duration> {
    let lines = headers.get_all(Known::XRequestTimeoutMs);
    lines
        .filter_map(|line| number(line.as_bytes()))
        .min()
        .map(Duration::from_millis)
}

/// Writes the time that is left, in whole milliseconds, rounded down, and at least 1.
pub fn write(left: Duration) -> HeaderValue {
    let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    HeaderValue::from(left.max(1))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number, digit: &u8| number * 10 + u64::from(digit - b'0');
    Some(digits.iter().fold(0, add))
}

/// Enough for 115 days.
const DIGITS_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn only_a_number_is_read() {
        for (text, expected) in [
            ("250", Some(250)),
            ("0", Some(0)),
            ("0007", Some(7)),
            ("9999999999", Some(9_999_999_999)),
            ("10000000000", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1s", None),
            ("1, 2", None),
        ] {
            let headers = fields(&[("x-request-timeout-ms", text)]);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(read(&headers), expected, "{text:?}");
        }
        assert_eq!(read(&Headers::new()), None);
    }

    #[test]
    fn the_shortest_of_several_counts() {
        let name = "x-request-timeout-ms";
        let headers = fields(&[(name, "300"), (name, "soon"), (name, "200")]);
        assert_eq!(read(&headers), Some(Duration::from_millis(200)));
    }

    #[test]
    fn what_is_written_never_grows_and_is_never_zero() {
        for (micros, expected) in [(0, "1"), (999, "1"), (1_999, "1"), (30_000_000, "30000")] {
            let written = write(Duration::from_micros(micros));
            assert_eq!(written.to_str().unwrap(), expected);
        }
    }
}
