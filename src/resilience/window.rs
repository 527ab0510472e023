//! A sliding window of counts: a ring of buckets, so that old ones leave in steps.

use std::{ops::Add, time::Duration};

use tokio::time::Instant;

/// Sum of what was added in the last `interval`, exact to a tenth of it.
#[derive(Debug, Clone)]
pub struct Window<T> {
    buckets: [T; BUCKETS],
    span: Duration,
    origin: Instant,
    /// Number of the newest bucket since `origin`; its place in the ring is the remainder.
    newest: u64,
}

impl<T: Copy + Default + Add<Output = T>> Window<T> {
    /// An empty window.
    pub fn new(interval: Duration, now: Instant) -> Self {
        let span = (interval / BUCKETS_U32).max(Duration::from_millis(1));
        Self {
            buckets: [T::default(); BUCKETS],
            span,
            origin: now,
            newest: 0,
        }
    }

    /// Adds what happened just now.
    pub fn add(&mut self, figures: T, now: Instant) {
        self.advance(now);
        let bucket = &mut self.buckets[place(self.newest)];
        *bucket = *bucket + figures;
    }

    /// Returns the content of the window now, even if nothing was added for a while.
    pub fn figures(&self, now: Instant) -> T {
        let oldest = self
            .number(now)
            .max(self.newest)
            .saturating_sub(BUCKETS_U64 - 1);
        (oldest..=self.newest).fold(T::default(), |sum, number| {
            sum + self.buckets[place(number)]
        })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.buckets = [T::default(); BUCKETS];
    }

    fn advance(&mut self, now: Instant) {
        let newest = self.number(now);
        if newest.saturating_sub(self.newest) >= BUCKETS_U64 {
            self.clear();
        } else {
            for number in self.newest.saturating_add(1)..=newest {
                self.buckets[place(number)] = T::default();
            }
        }
        self.newest = self.newest.max(newest);
    }

    /// The bucket of this time.
    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.origin).as_nanos() / self.span.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS_U64).unwrap_or(0)
}

const BUCKETS: usize = 10;
const BUCKETS_U32: u32 = 10;
const BUCKETS_U64: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_leave_the_window_in_steps_and_all_of_them_after_the_interval() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10), start);
        for second in 0..10 {
            window.add(1_u64, start + Duration::from_secs(second));
        }
        let failures = |window: &Window<u64>, second| {
            let now = start + Duration::from_secs(second);
            window.figures(now)
        };
        assert_eq!(failures(&window, 9), 10);
        assert_eq!(
            failures(&window, 13),
            6,
            "nothing needs to be added for that"
        );
        assert_eq!(failures(&window, 3600), 0);
        window.add(0, start + Duration::from_secs(13));
        assert_eq!(failures(&window, 13), 6);
        window.add(0, start + Duration::from_secs(3600));
        assert_eq!(failures(&window, 3600), 0);
    }

    #[test]
    fn a_clock_that_stands_still_or_an_empty_interval_does_no_harm() {
        let start = Instant::now();
        let mut window = Window::new(Duration::ZERO, start);
        window.add(1_u64, start);
        window.add(1_u64, start);
        assert_eq!(window.figures(start), 2);
    }
}
