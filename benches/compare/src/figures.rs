//! From rounds to what a table shows: medians, with the range beside them.

use std::fmt;

use crate::measure::{QUIET, Round};

/// A median and the range that it is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// The spread of one figure over those rounds that were quiet, or over all if none was.
    pub(crate) fn of(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Option<Self> {
        let quiet = rounds.iter().filter(|round| round.foreign <= QUIET);
        let mut values: Vec<f64> = quiet.map(&figure).collect();
        if values.is_empty() {
            values = rounds.iter().map(figure).collect();
        }
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[half - 1], values[half])
        } else {
            values[half]
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, most) = (short(self.median), short(self.least), short(self.most));
        if least == most {
            return formatter.write_str(&median);
        }
        write!(formatter, "{median} ({least}–{most})")
    }
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Round {
    /// Microseconds of processor time per request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.total().as_secs_f64() * 1e6 / self.done as f64
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }

    /// Gigabytes that a second of processor time moves.
    pub(crate) fn gigabytes_per_cpu_second(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.cpu.total().as_secs_f64()
    }

    /// Processors that the peer kept busy.
    pub(crate) fn processors(&self) -> f64 {
        self.cpu.total().as_secs_f64() / self.took.as_secs_f64()
    }

    /// KiB that each of the connections has added.
    pub(crate) fn kib_per_connection(&self) -> f64 {
        let [before, with] = self.memory;
        (with as f64 - before as f64) / 1024.0 / self.done as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(done: u64, foreign: f64) -> Round {
        Round {
            done,
            foreign,
            ..Round::default()
        }
    }

    #[test]
    fn rounds_in_which_others_worked_do_not_count_beside_quiet_ones() {
        let rounds = [round(1, 0.0), round(3, 0.1), round(1_000, 0.5)];
        let spread = Spread::of(&rounds, |round| round.done as f64).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.0, 1.0, 3.0));
        let spread = Spread::of(&rounds[2..], |round| round.done as f64).unwrap();
        assert_eq!(spread.to_string(), "1000");
    }
}
