//! Shares of a whole: `"5%"` or `0.05`.

use std::fmt;

use super::Mismatch;

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Ratio(f64);

impl Ratio {
    /// 0 %.
    pub const ZERO: Self = Self(0.0);
    /// 100 %.
    pub const ONE: Self = Self(1.0);

    /// Makes a share from a percentage; more than 100 counts as 100.
    pub const fn percent(hundredths: u8) -> Self {
        if hundredths >= 100 {
            return Self::ONE;
        }
        let share = hundredths as f64 / 100.0;
        Self(share)
    }

    /// Gives the share as a number from 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Takes a number from 0 to 1.
    ///
    /// # Errors
    ///
    /// Refuses any other number.
    pub fn from_number(number: f64) -> Result<Self, Mismatch> {
        if (0.0..=1.0).contains(&number) {
            return Ok(Self(number));
        }
        let message = format!("{number} is not a ratio: it must be from 0 to 1");
        Err(Mismatch::new(message, EXPECTED))
    }

    /// Parses a percentage.
    ///
    /// # Errors
    ///
    /// Refuses a text that is not a number with `%`, or not from 0 % to 100 %.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let number = text
            .strip_suffix('%')
            .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|digits| digits.parse::<f64>().ok())
            .filter(|percent| (0.0..=100.0).contains(percent));
        number.map(|percent| Self(percent / 100.0)).ok_or_else(|| {
            Mismatch::new(
                format!("\"{text}\" is not a ratio from 0% to 100%"),
                EXPECTED,
            )
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounds away what the division by 100 left in the last digits.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

const EXPECTED: &str = "\"5%\" or 0.05";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same() {
        assert_eq!(
            Ratio::parse("50%").unwrap(),
            Ratio::from_number(0.5).unwrap()
        );
        assert_eq!(Ratio::parse("0.1%").unwrap().to_string(), "0.1%");
        assert_eq!(Ratio::from_number(0.07).unwrap().to_string(), "7%");
        assert_eq!(Ratio::percent(20), Ratio::parse("20%").unwrap());
    }

    #[test]
    fn more_than_all_is_refused() {
        for written in ["", "%", "5", "101%", "-1%", "nan%", "inf%", "5 %"] {
            assert!(Ratio::parse(written).is_err(), "{written}");
        }
        for number in [-0.1, 1.1, f64::NAN, 5.0] {
            assert!(Ratio::from_number(number).is_err(), "{number}");
        }
    }
}
