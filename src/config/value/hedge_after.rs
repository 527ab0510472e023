//! Time after which a slow request is hedged: fixed, or a quantile of the pool's times.

use std::{fmt, time::Duration};

use super::{Mismatch, duration};

/// Time after which a slow request is hedged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HedgeAfter {
    /// This time.
    Fixed(Duration),
    /// The time within which this share of the pool's requests gets a response head.
    Quantile(Quantile),
}

/// A share of 50 to 99 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantile(u8);

impl Quantile {
    /// Makes a quantile; none outside of 50 to 99 percent.
    pub fn of_percent(percent: u8) -> Option<Self> {
        (PERCENT_MIN..=PERCENT_MAX)
            .contains(&percent)
            .then_some(Self(percent))
    }

    /// The share in percent.
    pub fn percent(self) -> u8 {
        self.0
    }
}

impl HedgeAfter {
    /// Parses a duration, or a quantile such as `"p95"`.
    ///
    /// # Errors
    ///
    /// Refuses what is neither.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        if let Some(percent) = text.strip_prefix('p') {
            let percent: Option<u8> = percent.parse().ok();
            let quantile = percent.and_then(Quantile::of_percent);
            let message = || format!("\"{text}\" is not a quantile from p50 to p99");
            return quantile
                .map(Self::Quantile)
                .ok_or_else(|| Mismatch::new(message(), EXPECTED));
        }
        match duration::parse(text) {
            Ok(after) => Ok(Self::Fixed(after)),
            Err(mismatch) => Err(Mismatch::new(mismatch.message, EXPECTED)),
        }
    }
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(after) => f.write_str(&duration::text(after)),
            Self::Quantile(quantile) => write!(f, "p{}", quantile.0),
        }
    }
}

const EXPECTED: &str = "a time such as \"50ms\", or a quantile such as \"p95\"";
const PERCENT_MIN: u8 = 50;
const PERCENT_MAX: u8 = 99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_quantiles_are_read() {
        for text in ["50ms", "1s", "p50", "p95", "p99"] {
            assert_eq!(HedgeAfter::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "p", "p49", "p100", "p99.9", "p-1", "95", "p256"] {
            assert!(HedgeAfter::parse(text).is_err(), "{text}");
        }
    }
}
