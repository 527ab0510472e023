//! How long an exchange and its attempts may take.
//!
//! `total` runs from the start of the exchange over all attempts and the waits between them, until
//! the head of the response; `attempt` runs anew for each. Whichever is sooner ends the attempt,
//! and which one it was decides whether there can be another.

use std::time::Duration;

use tokio::time::Instant;

/// The time limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    end: Option<Instant>,
    attempt: Option<Duration>,
}

/// Which limit ends an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The time of the attempt is over; another may follow.
    Attempt,
    /// The time of the exchange is over.
    Total,
}

impl Deadline {
    /// Starts the clock of an exchange. `None` is no limit, as is a time too far to be told.
    pub fn start(now: Instant, total: Option<Duration>, attempt: Option<Duration>) -> Self {
        Self {
            end: total.and_then(|total| now.checked_add(total)),
            attempt,
        }
    }

    /// What is left of the total; [`Duration::MAX`] without a limit.
    pub fn left(&self, now: Instant) -> Duration {
        self.end
            .map_or(Duration::MAX, |end| end.saturating_duration_since(now))
    }

    /// When an attempt that begins now must have its response head, and by which limit.
    pub fn attempt(&self, now: Instant) -> Option<(Instant, Expiry)> {
        let attempt = self.attempt.and_then(|attempt| now.checked_add(attempt));
        match (attempt, self.end) {
            (Some(attempt), Some(end)) if attempt < end => Some((attempt, Expiry::Attempt)),
            (_, Some(end)) => Some((end, Expiry::Total)),
            (Some(attempt), None) => Some((attempt, Expiry::Attempt)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_sooner_limit_ends_the_attempt() {
        let start = Instant::now();
        let both = Deadline::start(start, Some(30 * S), Some(10 * S));
        assert_eq!(both.attempt(start), Some((start + 10 * S, Expiry::Attempt)));
        let late = start + 25 * S;
        assert_eq!(both.attempt(late), Some((start + 30 * S, Expiry::Total)));
        assert_eq!(both.left(late), 5 * S);
        assert_eq!(both.left(start + 31 * S), Duration::ZERO);
        let equal = Deadline::start(start, Some(10 * S), Some(10 * S));
        assert_eq!(equal.attempt(start), Some((start + 10 * S, Expiry::Total)));
    }

    #[test]
    fn a_missing_limit_does_not_end_it() {
        let start = Instant::now();
        let attempt = Deadline::start(start, None, Some(S));
        assert_eq!(
            attempt.attempt(start + S),
            Some((start + 2 * S, Expiry::Attempt))
        );
        assert_eq!(attempt.left(start), Duration::MAX);
        assert_eq!(Deadline::start(start, None, None).attempt(start), None);
        assert_eq!(
            Deadline::start(start, Some(Duration::MAX), None).attempt(start),
            None
        );
    }
}
