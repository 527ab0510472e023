//! Pressure on the memory of the process, from one measurement to the next.
//!
//! Two thresholds with a gap below each, so that a process near one of them does not change its
//! mind with every measurement.

/// Pressure on the memory of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Pressure {
    /// There is enough.
    #[default]
    Calm = 0,
    /// Idle connections are closed, and slow clients lose patience of the proxy sooner.
    Tight = 1,
    /// New work is refused as well.
    Full = 2,
}

impl Pressure {
    /// The pressure after `used` bytes of `limit` were measured. A limit of 0 is none.
    #[must_use]
    pub fn next(self, used: u64, limit: u64) -> Self {
        if limit == 0 {
            return Self::Calm;
        }
        let percent = u128::from(used) * 100 / u128::from(limit);
        match self {
            _ if percent >= FULL => Self::Full,
            Self::Full if percent >= NO_LONGER_FULL => Self::Full,
            _ if percent >= TIGHT => Self::Tight,
            Self::Tight | Self::Full if percent >= NO_LONGER_TIGHT => Self::Tight,
            _ => Self::Calm,
        }
    }

    /// The word for logs, events and the admin API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Tight => "tight",
            Self::Full => "full",
        }
    }
}

impl From<u8> for Pressure {
    fn from(level: u8) -> Self {
        match level {
            0 => Self::Calm,
            1 => Self::Tight,
            _ => Self::Full,
        }
    }
}

/// Percent of the limit from which new work is refused, and below which it no longer is.
const FULL: u128 = 100;
const NO_LONGER_FULL: u128 = 95;
/// Percent of the limit from which what is idle goes, and below which it no longer does.
const TIGHT: u128 = 90;
const NO_LONGER_TIGHT: u128 = 85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_left_only_well_below_where_it_begins() {
        let mut pressure = Pressure::Calm;
        let mut seen = Vec::new();
        for used in [
            50, 89, 90, 86, 85, 84, 89, 99, 100, 96, 95, 94, 86, 84, 200, 0,
        ] {
            pressure = pressure.next(used, 100);
            seen.push((used, pressure.word()));
        }
        let expected = [
            (50, "calm"),
            (89, "calm"),
            (90, "tight"),
            (86, "tight"),
            (85, "tight"),
            (84, "calm"),
            (89, "calm"),
            (99, "tight"),
            (100, "full"),
            (96, "full"),
            (95, "full"),
            (94, "tight"),
            (86, "tight"),
            (84, "calm"),
            (200, "full"),
            (0, "calm"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn no_limit_is_never_reached() {
        assert_eq!(Pressure::Full.next(u64::MAX, 0), Pressure::Calm);
        assert_eq!(Pressure::Calm.next(u64::MAX, u64::MAX), Pressure::Full);
    }
}
