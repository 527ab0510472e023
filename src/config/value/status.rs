//! Sets of HTTP status codes: `503`, `"200-299"`, `"5xx"`, or a list of these.

use std::fmt;
use std::ops::RangeInclusive;

use http::StatusCode;

use super::Mismatch;

/// A set of status codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet {
    ranges: Vec<RangeInclusive<u16>>,
}

impl StatusSet {
    /// Makes the set of 200 to 299.
    pub fn success() -> Self {
        Self {
            ranges: vec![200..=299],
        }
    }

    /// Tells whether `status` is one of them.
    pub fn contains(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        self.ranges.iter().any(|range| range.contains(&code))
    }

    /// Counts the statuses; one that is in several ranges counts several times.
    pub fn count(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// Gives the ranges that make up the set.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.ranges
    }

    /// Joins sets.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let ranges = sets.into_iter().flat_map(|set| set.ranges).collect();
        Self { ranges }
    }

    /// Parses one code, one range or one class.
    ///
    /// # Errors
    ///
    /// Refuses codes outside 100 to 599 and ranges that run backwards.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let range = if let Some(class) = text.strip_suffix("xx") {
            code(&format!("{class}00")).map(|first| first..=first + 99)
        } else if let Some((first, last)) = text.split_once('-') {
            code(first)
                .zip(code(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| first..=last)
        } else {
            code(text).map(|only| only..=only)
        };
        range
            .map(|range| Self {
                ranges: vec![range],
            })
            .ok_or_else(|| {
                Mismatch::new(format!("\"{text}\" is not a status or a range"), EXPECTED)
            })
    }

    /// Takes one code.
    ///
    /// # Errors
    ///
    /// Refuses codes outside 100 to 599.
    pub fn from_integer(number: i64) -> Result<Self, Mismatch> {
        Self::parse(&number.to_string())
            .map_err(|_| Mismatch::new(format!("{number} is not a status"), EXPECTED))
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write_range(range, f)?;
        }
        Ok(())
    }
}

/// Takes the status of a reply.
///
/// # Errors
///
/// Refuses codes outside 100 to 599.
pub fn single(number: i64) -> Result<StatusCode, Mismatch> {
    code(&number.to_string())
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| Mismatch::new(format!("{number} is not a status"), "from 200 to 599"))
}

/// Prints one range as the file has it.
pub fn range_text(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

fn write_range(range: &RangeInclusive<u16>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&range_text(range))
}

fn code(text: &str) -> Option<u16> {
    let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let code = plain.then(|| text.parse().ok()).flatten()?;
    (100..600).contains(&code).then_some(code)
}

const EXPECTED: &str = "such as 503, \"200-299\", \"5xx\" or a list of these";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ranges_and_classes() {
        let set = StatusSet::union([
            StatusSet::parse("200-204").unwrap(),
            StatusSet::from_integer(503).unwrap(),
        ]);
        assert!(set.contains(StatusCode::NO_CONTENT));
        assert!(set.contains(StatusCode::SERVICE_UNAVAILABLE));
        assert!(!set.contains(StatusCode::RESET_CONTENT));
        assert_eq!(set.to_string(), "200-204, 503");
        assert_eq!(StatusSet::parse("5xx").unwrap().to_string(), "500-599");
    }

    #[test]
    fn nonsense_is_refused() {
        for written in [
            "", "99", "600", "299-200", "2xxx", "+200", "200-", "xx", "20é",
        ] {
            assert!(StatusSet::parse(written).is_err(), "{written}");
        }
        assert!(single(999).is_err());
    }
}
