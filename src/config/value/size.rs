//! Numbers of bytes: `"64KiB"`, `"10MiB"`, `"1GB"`, or a plain integer.

use std::fmt;

use super::Mismatch;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Makes a size from KiB.
    pub const fn kib(count: u64) -> Self {
        Self(count * 1024)
    }

    /// Gives the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes as a length in memory, at most `usize::MAX`.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Parses an integer with a unit.
    ///
    /// # Errors
    ///
    /// Refuses an unknown unit, a fraction and more than 64 bits.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let parsed = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
        let known = UNITS.iter().any(|(name, _)| *name == unit);
        let too_large = known && parsed.is_none() && !number.is_empty();
        let why = if too_large { ": it is too large" } else { "" };
        parsed
            .map(Self)
            .ok_or_else(|| Mismatch::new(format!("\"{text}\" is not a size{why}"), EXPECTED))
    }

    /// Takes a plain number of bytes.
    ///
    /// # Errors
    ///
    /// Refuses a negative number.
    pub fn from_integer(number: i64) -> Result<Self, Mismatch> {
        u64::try_from(number)
            .map(Self)
            .map_err(|_| Mismatch::new("a size cannot be negative", EXPECTED))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(name, _)| name.ends_with("iB"));
        let largest = binary
            .filter(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .max_by_key(|(_, factor)| *factor);
        match largest {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const EXPECTED: &str = "an integer, in bytes or with a unit, such as \"64KiB\" or \"10MiB\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_printed() {
        assert_eq!(ByteSize::parse("64KiB").unwrap(), ByteSize(65_536));
        assert_eq!(ByteSize::parse("1GB").unwrap(), ByteSize(1_000_000_000));
        assert_eq!(ByteSize::parse("7").unwrap(), ByteSize(7));
        assert_eq!(ByteSize(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize(0).to_string(), "0B");
        assert_eq!(ByteSize(1_000).to_string(), "1000B");
    }

    #[test]
    fn nonsense_is_refused() {
        for written in ["", "KiB", "1.5MiB", "-1", "64 KiB", "1XB", "99999999999TiB"] {
            assert!(ByteSize::parse(written).is_err(), "{written}");
        }
        assert!(ByteSize::from_integer(-1).is_err());
    }
}
