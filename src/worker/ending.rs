//! End of a connection: closing, lifetime and cut.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Waker},
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified},
    task::AbortHandle,
    time::Instant,
};

use super::Connection;
use crate::wake;

/// State that decides when a connection ends.
#[derive(Debug)]
pub(super) struct Ending {
    /// Random number that varies its lifetime around the configured one: 0 is the shortest.
    luck: u64,
    /// Time since when it must not take further requests.
    closing: Cell<Option<Instant>>,
    cut: Cell<bool>,
    /// The head of a request over HTTP/1.1 has begun and is not complete.
    in_head: Cell<bool>,
    /// Tunnels on it: one of HTTP/1.1, or streams of HTTP/2.
    tunnels: Cell<u32>,
    /// Notifies the tunnels when they are cut.
    last_call: Notify,
    waker: RefCell<Option<Waker>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Ending {
    /// Makes the state of a newly accepted connection; `luck` is any number.
    pub(super) fn new(luck: u64) -> Self {
        Self {
            luck,
            closing: Cell::new(None),
            cut: Cell::new(false),
            in_head: Cell::new(false),
            tunnels: Cell::new(0),
            last_call: Notify::new(),
            waker: RefCell::new(None),
            task: RefCell::new(None),
        }
    }
}

impl Connection {
    /// Closes the connection after its current request; at once if it has none.
    pub fn close(&self) {
        if !self.is_closing() {
            self.ending.closing.set(Some(Instant::now()));
            self.wake();
        }
    }

    /// Returns true if it must not take further requests.
    pub fn is_closing(&self) -> bool {
        self.ending.closing.get().is_some()
    }

    /// Returns the time until which the first request of a client that has been waiting since then
    /// is still taken on a closing connection: the client cannot know, and may have sent it
    /// already.
    pub fn last_chance(&self, since: Instant) -> Option<Instant> {
        let closing = self.ending.closing.get()?;
        Some(closing.max(since) + LAST_CHANCE)
    }

    /// Returns the end of its lifetime; none if the lifetime is zero.
    ///
    /// Each connection's lifetime is up to 10 % shorter or longer than the configured one, so that
    /// clients that connected together do not all reconnect together.
    pub fn end_of_life(&self, lifetime: Duration) -> Option<Instant> {
        const STEPS: u32 = 1000;
        if lifetime.is_zero() {
            return None;
        }
        let step = u32::try_from(self.ending.luck % u64::from(STEPS)).unwrap_or(0);
        let life = lifetime / 10 * 9 + lifetime / 5 / STEPS * step;
        Some(self.since + life)
    }

    /// Returns true if it has carried as many requests as one may, of which 0 is no bound, and so many
    /// more.
    pub fn is_worn(&self, requests_max: u64, more: u64) -> bool {
        requests_max > 0 && self.requests.get() >= requests_max + more
    }

    /// Ends the connection and all on it, now.
    pub fn cut(&self) {
        self.ending
            .closing
            .set(self.ending.closing.get().or_else(|| Some(Instant::now())));
        self.ending.cut.set(true);
        if self.ending.tunnels.get() > 0 {
            // It ends when they have said goodbye, as far as what they carry has a word for that.
            self.ending.last_call.notify_waiters();
            self.wake();
        } else if self.ending.in_head.get() {
            // It is told why its request is not taken.
            self.wake();
        } else if let Some(task) = &*self.ending.task.borrow() {
            task.abort();
        }
    }

    /// Notes whether the head of a request has begun that is not complete.
    pub(crate) fn set_in_head(&self, in_head: bool) {
        self.ending.in_head.set(in_head);
    }

    /// Counts a tunnel on it until the guard is dropped.
    pub(crate) fn count_tunnel(&self) -> TunnelGuard<'_> {
        self.ending.tunnels.set(self.ending.tunnels.get() + 1);
        TunnelGuard(self)
    }

    /// Returns true if there is still a tunnel on it.
    pub(crate) fn has_tunnels(&self) -> bool {
        self.ending.tunnels.get() > 0
    }

    /// Is ready when the tunnels on it are told that they are cut.
    pub(crate) fn last_call(&self) -> Notified<'_> {
        self.ending.last_call.notified()
    }

    /// Remembers the task that serves the connection.
    pub fn served_by(&self, task: AbortHandle) {
        *self.ending.task.borrow_mut() = Some(task);
    }

    /// Returns true if everything on it must end now.
    pub fn is_cut(&self) -> bool {
        self.ending.cut.get()
    }

    fn wake(&self) {
        if let Some(waker) = &*self.ending.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Remembers the task that [`Self::close`] must wake.
    pub fn watch(&self, cx: &Context<'_>) {
        wake::remember(&mut self.ending.waker.borrow_mut(), cx);
    }
}

/// Counts a tunnel on a connection.
#[derive(Debug)]
pub(crate) struct TunnelGuard<'a>(&'a Connection);

impl Drop for TunnelGuard<'_> {
    fn drop(&mut self) {
        let tunnels = &self.0.ending.tunnels;
        tunnels.set(tunnels.get() - 1);
        if self.0.is_cut() {
            self.0.wake();
        }
    }
}

/// Time that a closing connection without a request so far waits for one.
const LAST_CHANCE: Duration = Duration::from_secs(1);
