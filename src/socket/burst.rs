//! Bursts: the sends of a busy worker leave together.
//!
//! A send wakes the receiver. Between two sends of a worker lies its work on a request: time enough
//! for the receiver to take one message and go back to sleep, so that every send pays for a
//! wake-up, which costs more than the send. While a worker is busy, its sends therefore wait until
//! the ready tasks have run, and then leave back to back: the receiver is woken once and finds them
//! all. A worker with one thing to do at a time sends at once.
//!
//! The state belongs to the thread. Without a running [`bursts`] nothing waits.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

use super::Apart;
use crate::wake;

/// One writer's place in the bursts of its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// It is in none.
    #[default]
    Free,
    /// Its task was put off to the end of the burst, and sends then.
    Task,
    /// The burst sends for it.
    Stream,
}

impl Place {
    /// Is ready when it is time to send: at once, or when polled the second time.
    pub(super) fn poll_send(&mut self, cx: &Context<'_>) -> Poll<()> {
        if *self != Self::Free {
            *self = Self::Free;
            return Poll::Ready(());
        }
        if BURST.with(|burst| burst.join(|| Waiting::Task(cx.waker().clone()))) {
            *self = Self::Task;
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Returns true if the burst will send the bytes of `io` without its task; if false, the caller
    /// must send now, as one must who was put off before.
    pub(super) fn leave<T: Apart>(&mut self, io: &Rc<T>, cx: &Context<'_>) -> bool {
        let join = |burst: &Burst| {
            burst.join(|| {
                let io = Rc::downgrade(io);
                Waiting::Stream(io, cx.waker().clone())
            })
        };
        *self = match self {
            Self::Stream => Self::Stream,
            Self::Free if BURST.with(join) => Self::Stream,
            Self::Free | Self::Task => Self::Free,
        };
        *self == Self::Stream
    }

    /// Notes that the burst has ended.
    pub(super) fn end(&mut self) {
        *self = Self::Free;
    }
}

/// A waiter for the end of the burst.
#[derive(Debug)]
enum Waiting {
    /// A task that sends when it is woken.
    Task(Waker),
    /// A stream with something to send; its task is woken only if that cannot be sent at once.
    Stream(Weak<dyn Apart>, Waker),
}

/// Ends the bursts of this thread; never ready. Each worker runs one.
pub async fn bursts() {
    let _installed = Installed;
    poll_fn(|cx| {
        BURST.with(|burst| burst.end(cx));
        Poll::<()>::Pending
    })
    .await;
}

/// Sends of one thread since the last burst ended.
#[derive(Debug, Default)]
struct Burst {
    waiting: RefCell<Vec<Waiting>>,
    sends: Cell<u32>,
    /// Several sends came together last time.
    busy: Cell<bool>,
    /// Number of sends until the next test whether the worker is busy.
    look_in: Cell<u32>,
    /// Wakes the task that ends bursts; it runs after all tasks that are ready now.
    end: RefCell<Option<Waker>>,
}

impl Burst {
    /// Counts a send; returns true if it must wait for the end of the burst.
    fn join(&self, waiting: impl FnOnce() -> Waiting) -> bool {
        let sends = self.sends.get();
        self.sends.set(sends.saturating_add(1));
        if self.busy.get() {
            if sends == 0 {
                self.await_end();
            }
            self.waiting.borrow_mut().push(waiting());
            return true;
        }
        match self.look_in.get() {
            0 => {
                self.look_in.set(LOOK_EVERY);
                self.sends.set(1);
                self.await_end();
            }
            left => self.look_in.set(left - 1),
        }
        false
    }

    fn await_end(&self) {
        // Nobody ends bursts where there is none; then none is ever busy.
        if let Some(waker) = &*self.end.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Releases the waiters: all tasks that were ready have run.
    fn end(&self, cx: &Context<'_>) {
        wake::remember(&mut self.end.borrow_mut(), cx);
        self.busy.set(self.sends.take() > 1);
        for waiting in self.waiting.borrow_mut().drain(..) {
            match waiting {
                Waiting::Task(waker) => waker.wake(),
                Waiting::Stream(io, waker) => {
                    if let Some(io) = io.upgrade() {
                        io.io().borrow_mut().send_apart(&waker);
                    }
                }
            }
        }
    }
}

/// Releases all waiters when the flush task stops.
struct Installed;

impl Drop for Installed {
    fn drop(&mut self) {
        // At the exit of the thread there may be nobody left to wait either.
        let _ = BURST.try_with(|burst| {
            burst.busy.set(false);
            *burst.end.borrow_mut() = None;
            for waiting in burst.waiting.borrow_mut().drain(..) {
                let (Waiting::Task(waker) | Waiting::Stream(_, waker)) = waiting;
                waker.wake();
            }
        });
    }
}

thread_local! {
    static BURST: Burst = Burst::default();
}

/// Number of immediate sends after which an idle worker tests whether it has become busy.
const LOOK_EVERY: u32 = 16;
