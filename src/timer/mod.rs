//! One coarse timer per worker: a wheel of 10 ms slots driven by one runtime timer.
//!
//! Every wait of the request path has a deadline, and nearly all of them are cancelled before it. A
//! [`Timeout`] therefore costs a few memory writes: its entry stays in the wheel while deadlines
//! only move later, and is checked again when its slot comes round. It never fires early, and at
//! most one slot (10 ms) late on an idle worker.
//!
//! The wheel is owned by its thread, so nothing here is shared or locked.

mod stall;
mod wheel;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

pub use stall::Stall;
use wheel::{EntryKey, Wheel};

/// Reads the clock, and remembers it for [`recent`].
pub fn now() -> Instant {
    let now = Instant::now();
    RECENT.set(now);
    now
}

/// Returns the time as this thread last read it with [`now`]: at the step before in the same walk,
/// at most a tick of the worker (200 ms) ago. Reading the clock is 2 % of the work on a request,
/// and most steps only test a deadline of seconds.
pub fn recent() -> Instant {
    RECENT.get()
}

thread_local! {
    static RECENT: Cell<Instant> = Cell::new(Instant::now());
    static WHEEL: RefCell<Wheel> = RefCell::new(Wheel::new(Instant::now()));
}

/// A deadline that a task can wait for, and move, at almost no cost.
///
/// Bound to the thread that polls it first; not `Send`. Dropping it frees its entry.
#[derive(Debug, Default)]
pub struct Timeout {
    key: Option<EntryKey>,
    local: std::marker::PhantomData<*const ()>,
}

impl Timeout {
    /// Makes a timeout without a deadline; registers nothing.
    pub const fn new() -> Self {
        Self {
            key: None,
            local: std::marker::PhantomData,
        }
    }

    /// Is ready once `deadline` has passed; otherwise wakes the task then.
    pub fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        WHEEL.with_borrow_mut(|wheel| {
            let key = *self.key.get_or_insert_with(|| wheel.insert());
            wheel.poll(key, cx, deadline)
        })
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // At thread exit the wheel may be gone before the last timeout.
            let _ = WHEEL.try_with(|wheel| {
                if let Ok(mut wheel) = wheel.try_borrow_mut() {
                    wheel.remove(key);
                }
            });
        }
    }
}

/// The deadline passed before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for `future` until `deadline`; the future is polled first.
///
/// # Errors
/// [`Elapsed`] if the deadline passes first. Dropping cancels the future.
pub async fn until<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timeout = Timeout::new();
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timeout.poll_at(cx, deadline).map(|()| Err(Elapsed))
    })
    .await
}

/// Waits until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    let mut timeout = Timeout::new();
    poll_fn(|cx| timeout.poll_at(cx, deadline)).await;
}

/// Turns this thread's wheel for ever; each worker runs it as a task of its own.
///
/// Without it no [`Timeout`] of the thread is ever woken.
pub async fn turn() {
    loop {
        let next = poll_fn(|cx| {
            WHEEL.with_borrow_mut(|wheel| {
                let now = Instant::now();
                wheel.advance(now);
                wheel.watch(cx);
                Poll::Ready(wheel.next_at())
            })
        })
        .await;
        let mut sleep = pin!(async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            let earlier = WHEEL.with_borrow_mut(|wheel| {
                wheel.watch(cx);
                wheel.next_at() != next
            });
            if earlier {
                return Poll::Ready(());
            }
            sleep.as_mut().poll(cx)
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run<F: Future<Output = ()> + 'static>(test: F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            WHEEL.with_borrow_mut(|wheel| *wheel = Wheel::new(Instant::now()));
            let wheel = tokio::task::spawn_local(turn());
            test.await;
            wheel.abort();
        });
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_not_before() {
        run(async {
            for ms in [1_u64, 9, 10, 11, 250, 5_119, 5_120, 5_121, 75_000] {
                let start = Instant::now();
                sleep_until(start + Duration::from_millis(ms)).await;
                let took = start.elapsed();
                assert!(took >= Duration::from_millis(ms), "{ms} took {took:?}");
                assert!(took <= Duration::from_millis(ms + 11), "{ms} took {took:?}");
            }
        });
    }

    #[test]
    fn waits_end_in_time_when_ticks_outgrow_32_bits() {
        run(async {
            // 497 days, less half a second.
            let wrap = Duration::from_millis(10) * u32::MAX;
            tokio::time::advance(wrap - Duration::from_millis(500)).await;
            for ms in [200_u64, 400, 1_000, 6_000] {
                let start = Instant::now();
                sleep_until(start + Duration::from_millis(ms)).await;
                let took = start.elapsed();
                assert!(took >= Duration::from_millis(ms), "{ms} took {took:?}");
                assert!(took <= Duration::from_millis(ms + 11), "{ms} took {took:?}");
            }
            // The one that turns the wheel sleeps until then, and does not spin.
            let far = Instant::now() + Duration::from_secs(1);
            let next = WHEEL.with_borrow_mut(|wheel| {
                let key = wheel.insert();
                let mut cx = Context::from_waker(std::task::Waker::noop());
                assert!(wheel.poll(key, &mut cx, far).is_pending());
                wheel.next_at()
            });
            assert!(next.is_some_and(|next| next >= far), "{next:?} {far:?}");
        });
    }

    #[test]
    fn a_deadline_can_be_moved_both_ways() {
        run(async {
            let start = Instant::now();
            let mut timeout = Timeout::new();
            let mut at = start + Duration::from_secs(10);
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls == 1 {
                    assert!(timeout.poll_at(cx, at).is_pending());
                    at = start + Duration::from_millis(100);
                }
                timeout.poll_at(cx, at)
            })
            .await;
            assert!(start.elapsed() <= Duration::from_millis(120));
            let again = start + Duration::from_secs(20);
            poll_fn(|cx| timeout.poll_at(cx, again)).await;
            assert!(start.elapsed() >= Duration::from_secs(20));
        });
    }

    #[test]
    fn what_moves_or_waits_for_its_turn_is_not_late_and_what_stands_still_is() {
        run(async {
            let patience = Duration::from_secs(1);
            let mut stall = Stall::new();
            let start = Instant::now();
            // Moves for three seconds, has no turn for three more, then stands still.
            let look = || match start.elapsed().as_secs() {
                0..3 => u64::try_from(start.elapsed().as_millis()).ok(),
                3..6 => None,
                _ => Some(7),
            };
            poll_fn(|cx| stall.poll(cx, patience, look)).await;
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(6900), "{took:?}");
            assert!(took <= Duration::from_millis(7600), "{took:?}");
        });
    }

    #[test]
    fn what_never_moves_is_late_after_its_time_and_a_quarter() {
        run(async {
            let start = Instant::now();
            let mut stall = Stall::new();
            poll_fn(|cx| stall.poll(cx, Duration::from_secs(4), || Some(1))).await;
            let took = start.elapsed();
            assert!(took >= Duration::from_secs(4), "{took:?}");
            assert!(took <= Duration::from_millis(5100), "{took:?}");
        });
    }

    #[test]
    fn a_future_that_is_ready_in_time_wins() {
        run(async {
            let now = Instant::now();
            assert_eq!(until(now, async { 7 }).await, Ok(7));
            let late = until(
                now + Duration::from_millis(50),
                std::future::pending::<()>(),
            );
            assert_eq!(late.await, Err(Elapsed));
        });
    }

    #[test]
    fn dropped_timeouts_leave_no_entry_behind() {
        run(async {
            for _ in 0..100 {
                let mut timeout = Timeout::new();
                let at = Instant::now() + Duration::from_secs(1);
                poll_fn(|cx| {
                    let _ = timeout.poll_at(cx, at);
                    Poll::Ready(())
                })
                .await;
            }
            WHEEL.with_borrow(|wheel| assert_eq!(wheel.len(), 0));
            sleep_until(Instant::now() + Duration::from_secs(2)).await;
        });
    }
}
