//! Detection of stalls: something that must make progress within a time limit.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::Timeout;

/// Detects that something has made no progress for too long.
///
/// [`Self::moved`] is for progress that the caller sees anyway. Other progress is looked for four
/// times in the time allowed, and at least every 5 s, so that a stall is found up to one such step
/// late and never early.
#[derive(Debug, Default)]
pub struct Stall {
    timeout: Timeout,
    standing: Option<Standing>,
}

/// Small, as every exchange contains one.
#[derive(Debug)]
struct Standing {
    next_look: Instant,
    /// Value seen last.
    seen: u64,
    /// Number of looks that found the same.
    same: u32,
}

impl Stall {
    /// Makes one that expects nothing; registers no timer.
    pub const fn new() -> Self {
        Self {
            timeout: Timeout::new(),
            standing: None,
        }
    }

    /// Notes progress, or that none is expected.
    pub fn moved(&mut self) {
        self.standing = None;
    }

    /// Is ready after `patience` without progress; otherwise wakes the task in time.
    ///
    /// `look` returns a number that changes with progress; none while none is expected.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        patience: Duration,
        mut look: impl FnMut() -> Option<u64>,
    ) -> Poll<()> {
        let step = (patience / LOOKS).clamp(STEP_MIN, STEP_MAX);
        let looks = patience.as_millis().div_ceil(step.as_millis());
        let standing = self.standing.get_or_insert_with(|| Standing {
            next_look: Instant::now() + step,
            seen: 0,
            same: 0,
        });
        loop {
            ready!(self.timeout.poll_at(cx, standing.next_look));
            standing.next_look = Instant::now() + step;
            match look() {
                None => standing.same = 0,
                Some(seen) if standing.same > 0 && seen == standing.seen => standing.same += 1,
                Some(seen) => {
                    standing.seen = seen;
                    standing.same = 1;
                }
            }
            if u128::from(standing.same) > looks {
                return Poll::Ready(());
            }
        }
    }
}

/// Least number of looks in the time allowed.
const LOOKS: u32 = 4;
/// Minimum time between two looks: a slot of the wheel.
const STEP_MIN: Duration = Duration::from_millis(10);
/// A patience that becomes shorter meanwhile counts from the next look.
const STEP_MAX: Duration = Duration::from_secs(5);
