//! The end of a connection: how it is told to close, how long it lives, how it is cut.

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
    /// Since when it shall take no more requests.
    closing: Cell<Option<Instant>>,
    cut: Cell<bool>,
    /// Tunnels on it: one of HTTP/1.1, or streams of HTTP/2.
    tunnels: Cell<u32>,
    /// Told to the tunnels when they are cut.
    last_call: Notify,
    waker: RefCell<Option<Waker>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Ending {
    /// That of a connection that has just been accepted; `luck` is any number.
    pub(super) fn new(luck: u64) -> Self {
        Self {
            luck,
            closing: Cell::new(None),
            cut: Cell::new(false),
            tunnels: Cell::new(0),
            last_call: Notify::new(),
            waker: RefCell::new(None),
            task: RefCell::new(None),
        }
    }
}

impl Connection {
    /// Asks the connection to close after the request it carries; at once if it carries none.
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

    /// Until when the first request of a client that has been waiting since then is still
    /// taken, if the connection is closing: the client cannot know, and may have sent it already.
    pub fn last_chance(&self, since: Instant) -> Option<Instant> {
        let closing = self.ending.closing.get()?;
        Some(closing.max(since) + LAST_CHANCE)
    }

    /// Returns the end of its lifetime; none if the lifetime is zero.
    ///
    /// Each connection's life is up to a tenth shorter or longer than the configured one, so
    /// that clients that came together do not all come back together.
    pub fn end_of_life(&self, lifetime: Duration) -> Option<Instant> {
        const STEPS: u32 = 1000;
        if lifetime.is_zero() {
            return None;
        }
        let step = u32::try_from(self.ending.luck % u64::from(STEPS)).unwrap_or(0);
        let life = lifetime / 10 * 9 + lifetime / 5 / STEPS * step;
        Some(self.since + life)
    }

    /// Ends whatever the connection carries, now.
    pub fn cut(&self) {
        self.ending
            .closing
            .set(self.ending.closing.get().or_else(|| Some(Instant::now())));
        self.ending.cut.set(true);
        if self.ending.tunnels.get() > 0 {
            // It ends when they have said goodbye, as far as what they carry has a word for that.
            self.ending.last_call.notify_waiters();
            self.wake();
        } else if let Some(task) = &*self.ending.task.borrow() {
            task.abort();
        }
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

    /// Remembers whom [`Self::close`] has to wake.
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
