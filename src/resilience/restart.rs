//! Wait before a failed service starts again.

use std::time::Duration;

/// Waits that double with each failure in a row, up to half a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestartBackoff {
    failures: u32,
}

impl RestartBackoff {
    /// Returns the wait before the next start, after a run of this length. A long run ends the
    /// series of failures.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST)
    }
}

/// Length of a run from which its end is not a failure of the start.
pub const STEADY: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Number of doublings that exceeds [`LONGEST`].
const DOUBLINGS_MAX: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_a_long_run_begins_anew() {
        let mut backoff = RestartBackoff::default();
        let mut waits = (0..12).map(|_| backoff.after(Duration::ZERO).as_millis());
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600];
        assert!(waits.by_ref().take(9).eq(expected));
        assert!(waits.all(|wait| wait == 30_000));
        assert_eq!(backoff.after(STEADY), FIRST);
    }
}
