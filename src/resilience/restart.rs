//! Wait before a failed service starts again.

use std::time::Duration;

/// Waits that double with each failure in a row, up to half a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestartBackoff {
    failures: u32,
}

impl RestartBackoff {
    /// Gives the wait before the next start, after a run that lasted so long. A long run ends the
    /// row of failures.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST)
    }
}

/// A run of this length is no failure at the start.
pub const STEADY: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Enough of them to pass [`LONGEST`].
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
