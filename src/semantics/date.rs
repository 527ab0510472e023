//! Value of the Date field (RFC 9110 sections 5.6.7 and 6.6.1), made once a second.

use std::io::Write;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use httpdate::HttpDate;

/// Seconds of Unix time at this time; 0 before 1970.
pub fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The date of the current second; one per worker.
#[derive(Clone, Debug)]
pub struct DateCache {
    unix_seconds: u64,
    text: [u8; DATE_BYTES],
    value: HeaderValue,
}

impl DateCache {
    /// A cache that holds the epoch.
    pub fn new() -> Self {
        let epoch = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        Self {
            unix_seconds: 0,
            text: epoch,
            value: HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"),
        }
    }

    /// The date as bytes, for a codec that writes heads itself.
    pub fn text(&mut self, unix_seconds: u64) -> &[u8; DATE_BYTES] {
        self.refresh(unix_seconds);
        &self.text
    }

    /// The date as a field value; shares one buffer within the second.
    pub fn header_value(&mut self, unix_seconds: u64) -> HeaderValue {
        self.refresh(unix_seconds);
        self.value.clone()
    }

    /// Writes the text again in a new second; a time past the year 9999 keeps the last one.
    fn refresh(&mut self, unix_seconds: u64) {
        if unix_seconds == self.unix_seconds || unix_seconds >= YEAR_10000 {
            return;
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds);
        let mut text = [0; DATE_BYTES];
        let written = write!(&mut text[..], "{}", HttpDate::from(time));
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_bytes(&text)) {
            *self = Self {
                unix_seconds,
                text,
                value,
            };
        }
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

/// Length of an IMF-fixdate.
pub const DATE_BYTES: usize = 29;

/// First second that needs a year of five digits.
const YEAR_10000: u64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_follows_the_clock() {
        let mut date = DateCache::new();
        assert_eq!(date.text(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date.text(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            date.header_value(784_111_778),
            "Sun, 06 Nov 1994 08:49:38 GMT"
        );
        assert_eq!(date.text(u64::MAX), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(date.text(YEAR_10000 - 1), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn one_second_has_one_buffer() {
        let mut date = DateCache::new();
        let first = date.header_value(5);
        assert_eq!(
            first.as_bytes().as_ptr(),
            date.header_value(5).as_bytes().as_ptr()
        );
    }
}
