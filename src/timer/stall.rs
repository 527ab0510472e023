//! Something that has to move, and the time for which it may stand still.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::Timeout;

/// Tells when something has stood still for too long.
///
/// What it costs to see a move decides who tells of it: [`Self::moved`] is for moves that the
/// caller sees anyway. Others are looked for four times in the time allowed, so that the end
/// comes up to a quarter of that time late and never early.
#[derive(Debug, Default)]
pub struct Stall {
    timeout: Timeout,
    standing: Option<Standing>,
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    next_look: Instant,
    /// What was seen last.
    seen: Option<u64>,
}

impl Stall {
    /// Makes one of which nothing is expected; registers no timer.
    pub const fn new() -> Self {
        Self {
            timeout: Timeout::new(),
            standing: None,
        }
    }

    /// It has moved, or nothing is expected of it.
    pub fn moved(&mut self) {
        self.standing = None;
    }

    /// Is ready when it has stood still for `patience`; otherwise wakes the task in time.
    ///
    /// `look` returns a number that is another one after each move; none while it is not its
    /// turn to move.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        patience: Duration,
        mut look: impl FnMut() -> Option<u64>,
    ) -> Poll<()> {
        let step = patience / LOOKS;
        let standing = self.standing.get_or_insert_with(|| {
            let now = Instant::now();
            Standing {
                since: now,
                next_look: now + step,
                seen: None,
            }
        });
        loop {
            ready!(self.timeout.poll_at(cx, standing.next_look));
            let now = Instant::now();
            let seen = look();
            if seen.is_none() || seen != standing.seen {
                standing.since = now;
                standing.seen = seen;
            }
            let end = standing.since + patience;
            if now >= end {
                return Poll::Ready(());
            }
            standing.next_look = end.min(now + step.max(STEP_MIN));
        }
    }
}

/// How often it is looked at in the time allowed.
const LOOKS: u32 = 4;
/// Between two looks passes at least a slot of the wheel.
const STEP_MIN: Duration = Duration::from_millis(10);
