//! One HTTP/1.1 connection: its state between exchanges, and the layout of its parts.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    memory,
    socket::{Apart, Buffered, Stream},
    upstream::connect::ConnectionGuard,
};

/// One HTTP/1.1 connection to an endpoint: idle, or in one exchange.
///
/// All of it is in one allocation, shared with the bursts of the thread while a request waits there
/// to be sent. With many endpoints it is cold in the cache when its turn comes.
#[derive(Debug)]
pub struct Http1Connection(Rc<Parts>);

/// Fields are in the order of use: those before the stream's buffers are one cache line with the
/// reference counts, and those for closing come last.
#[derive(Debug)]
#[repr(C)]
struct Parts {
    opened: Instant,
    /// Time of its last return.
    idle_since: Cell<Instant>,
    security: u64,
    fresh: Cell<bool>,
    reuse: Cell<Reuse>,
    io: RefCell<Buffered>,
    guard: ConnectionGuard,
}

impl Apart for Parts {
    fn io(&self) -> &RefCell<Buffered> {
        &self.io
    }
}

/// Permission for a connection to carry another exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Allowed for any client, as long as both sides keep it open.
    Allowed,
    /// Allowed only for its client's further requests.
    ByItsClient,
    /// Never: it was made for one client and one exchange.
    Never,
}

impl Http1Connection {
    /// Wraps a connected stream.
    pub fn new(
        stream: Stream,
        guard: ConnectionGuard,
        security: u64,
        now: Instant,
        reuse: Reuse,
    ) -> Self {
        Self(Rc::new(Parts {
            opened: now,
            idle_since: Cell::new(now),
            security,
            fresh: Cell::new(true),
            reuse: Cell::new(reuse),
            io: RefCell::new(Buffered::new(stream)),
            guard,
        }))
    }

    /// Prefetches its first cache lines.
    pub fn prefetch(&self) {
        memory::prefetch(&*self.0);
        memory::prefetch(self.io());
    }

    /// Prefetches the other lines that a request needs; the first ones should be in the cache.
    pub fn prefetch_rest(&self) {
        self.io().borrow().prefetch();
    }

    /// Version of the TLS settings it was made with; 0 for none.
    pub fn security(&self) -> u64 {
        self.0.security
    }

    /// Returns true if it has carried no exchange yet.
    pub fn is_fresh(&self) -> bool {
        self.0.fresh.get()
    }

    /// Notes that it is idle from now on.
    pub fn begin_idle(&self, now: Instant) {
        self.0.idle_since.set(now);
    }

    /// Returns the time since when it is idle.
    pub fn idle_since(&self) -> Instant {
        self.0.idle_since.get()
    }

    /// Returns true if neither its idle time nor its lifetime is over.
    pub fn is_in_time(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) -> bool {
        now < self.idle_since() + idle_timeout && now < self.0.opened + lifetime
    }

    /// Returns true if it can carry another exchange: the endpoint has neither closed it nor sent
    /// anything unasked.
    pub fn is_usable(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let io = &mut *self.io().borrow_mut();
        !io.has_received() && io.poll_fill(&mut cx).is_pending()
    }

    /// Ends the TLS session cleanly, before it is dropped between two exchanges, if that does not
    /// block.
    pub fn say_goodbye(&self) {
        self.io().borrow_mut().say_goodbye();
    }

    /// Releases the memory of the buffers while it is idle.
    pub fn release_memory(&self) {
        self.io().borrow_mut().release_memory();
    }

    /// Returns the stream with its buffers.
    pub(super) fn io(&self) -> &RefCell<Buffered> {
        &self.0.io
    }

    /// See [`Buffered::poll_flush_apart`].
    pub(super) fn poll_flush_apart(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Buffered::poll_flush_apart(&self.0, cx)
    }

    /// Returns whether it may carry another exchange.
    pub(super) fn reuse(&self) -> Reuse {
        self.0.reuse.get()
    }

    /// Restricts it to one client from now on.
    pub(super) fn restrict(&self, reuse: Reuse) {
        self.0.reuse.set(reuse);
    }

    /// Notes the clean end of an exchange.
    pub(super) fn end_exchange(&self) {
        self.0.fresh.set(false);
        self.io().borrow_mut().release_spent();
    }

    /// Takes the stream for another use, with its connection count.
    pub(super) fn into_stream(self) -> Option<(Buffered, ConnectionGuard)> {
        // The bursts hold on to it while they send, and only then.
        let Parts { io, guard, .. } = Rc::into_inner(self.0)?;
        Some((io.into_inner(), guard))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_connection_is_four_lines_of_the_cache_and_a_request_needs_three() {
        // Behind the two counts of references.
        let before = 2 * size_of::<usize>();
        assert_eq!(before + std::mem::offset_of!(Parts, io), 64);
        // Of a release; what checks itself, and a runtime of either kind, take more in tests.
        let stream = 32;
        let size = before + size_of::<Parts>() - size_of::<Stream>() + stream;
        // The allocator gives both the same: four lines from the beginning of one.
        assert!((225..=256).contains(&size), "{size}");
        let rare = size_of::<(Bytes, Option<Box<()>>, Option<io::Error>, ConnectionGuard)>();
        assert_eq!(size - rare, 192);
    }
}
