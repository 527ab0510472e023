//! Spans of time: `"250ms"`, `"5s"`, `"2m"`, `"1h"`.

use std::time::Duration;

use super::Mismatch;

/// Parses a whole or decimal number with a unit.
///
/// # Errors
///
/// Refuses a missing or unknown unit, a negative number and more than a year.
pub fn parse(text: &str) -> Result<Duration, Mismatch> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let refused =
        |why: &str| Mismatch::new(format!("\"{text}\" is not a duration: {why}"), EXPECTED);
    let Some((_, unit_ns)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(refused(if unit.is_empty() {
            "it has no unit"
        } else {
            "a number must come first, then one known unit"
        }));
    };
    let number: f64 = number.parse().map_err(|_| refused("it has no number"))?;
    let seconds = number * unit_ns / 1e9;
    if seconds > YEAR_S {
        return Err(refused("it is more than a year"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| refused("it is out of range"))
}

/// Prints a duration in the largest unit that needs no fraction.
pub fn text(duration: &Duration) -> String {
    let ns = duration.as_nanos();
    if ns == 0 {
        return "0s".to_owned();
    }
    let whole: [(u128, &str); 6] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    whole
        .iter()
        .find(|(unit, _)| ns.is_multiple_of(*unit))
        .map_or_else(String::new, |(unit, name)| format!("{}{name}", ns / unit))
}

/// Unit and its length in nanoseconds.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 6e10),
    ("h", 3.6e12),
    ("d", 8.64e13),
];

const YEAR_S: f64 = 366.0 * 86_400.0;

const EXPECTED: &str = "a number and a unit of ms, s, m, h or d, such as \"250ms\" or \"5s\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for written in ["250ms", "5s", "2m", "1h", "0s", "90s", "1500us"] {
            assert_eq!(text(&parse(written).unwrap()), written);
        }
        assert_eq!(parse("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(parse("1d").unwrap(), Duration::from_secs(86_400));
    }

    #[test]
    fn nonsense_is_refused() {
        for written in [
            "", "5", "s", "-1s", "5 s", "5sec", "1.2.3s", "1e9h", "99999d", "5S",
        ] {
            assert!(parse(written).is_err(), "{written}");
        }
    }
}
