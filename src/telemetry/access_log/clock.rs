//! Times as text, without allocation: UTC, proleptic Gregorian calendar.
//!
//! The date is computed by the algorithms of Howard Hinnant, "chrono-compatible low-level date
//! algorithms": years begin in March, so that the leap day is the last of the year.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    millis: u32,
}

impl Moment {
    /// Splits a time; one before 1970 is shown as 1970.
    pub(super) fn new(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = since.as_secs();
        // Days since 1 March of the year 0; an era is 400 years.
        let days = seconds / DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
        let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
        let days_before = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
        let day_of_year = day_of_era - days_before;
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            second_of_day: seconds % DAY,
            millis: since.subsec_millis(),
        }
    }

    /// Writes `2026-11-20T12:30:03.250Z` (RFC 3339).
    pub(super) fn rfc3339(self, out: &mut Vec<u8>) {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut text[0..4], self.year);
        put_digits(&mut text[5..7], self.month);
        put_digits(&mut text[8..10], self.day);
        self.put_time_of_day(&mut text[11..19]);
        put_digits(&mut text[20..23], u64::from(self.millis));
        out.extend_from_slice(&text);
    }

    /// Writes `20/Nov/2026:12:30:03 +0000`, as the common log format has it.
    pub(super) fn common(self, out: &mut Vec<u8>) {
        let mut text = *b"00/???/0000:00:00:00 +0000";
        put_digits(&mut text[0..2], self.day);
        let month = usize::try_from(self.month).unwrap_or_default();
        if let Some(month) = MONTHS.get(month.wrapping_sub(1)) {
            text[3..6].copy_from_slice(month.as_bytes());
        }
        put_digits(&mut text[7..11], self.year);
        self.put_time_of_day(&mut text[12..20]);
        out.extend_from_slice(&text);
    }

    fn put_time_of_day(self, text: &mut [u8]) {
        put_digits(&mut text[0..2], self.second_of_day / 3600);
        put_digits(&mut text[3..5], self.second_of_day / 60 % 60);
        put_digits(&mut text[6..8], self.second_of_day % 60);
    }
}

/// Writes the last digits of a number, as many as there is room for, with leading zeros.
#[inline]
pub(super) fn put_digits(text: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

const DAY: u64 = 86_400;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(time: SystemTime) -> String {
        let mut out = Vec::new();
        Moment::new(time).rfc3339(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_calendar_agrees_with_another_implementation() {
        // Steps of a little more than 11 days through 400 years meet every month and leap rule.
        for step in 0..13_000_u64 {
            let time = UNIX_EPOCH + Duration::from_millis(step * 970_123_457);
            let expected = humantime::format_rfc3339_millis(time).to_string();
            assert_eq!(rfc3339(time), expected);
        }
    }

    #[test]
    fn the_common_form_has_the_month_by_name() {
        let mut out = Vec::new();
        Moment::new(UNIX_EPOCH + Duration::from_secs(951_782_400)).common(&mut out);
        assert_eq!(out, b"29/Feb/2000:00:00:00 +0000");
    }

    #[test]
    fn a_time_before_the_epoch_is_no_fault() {
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
