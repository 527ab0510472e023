//! Bytes of a connection on their way to the endpoint.
//!
//! Bytes of an exchange wait in the connection, then in the kernel. From the exchange alone a slow
//! reader and one that has stopped look the same; the socket shows the difference.

use std::{
    cell::Cell,
    io,
    task::{Context, Poll},
};

use super::SEND_BUFFER;
use crate::socket::SendQueue;

/// Progress of a connection's outgoing bytes.
pub(super) struct Outgoing {
    queue: Option<SendQueue>,
    written: Cell<u64>,
    /// The socket takes nothing now: the connection may hold bytes of its streams.
    blocked: Cell<bool>,
}

/// Position in a connection's bytes after all bytes that one stream has handed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    sent_bytes: u64,
    at: u64,
}

impl Outgoing {
    pub(super) fn new(queue: Option<SendQueue>) -> Self {
        Self {
            queue,
            written: Cell::new(0),
            blocked: Cell::new(false),
        }
    }

    /// Passes on the result of a write to the socket, and notes it.
    pub(super) fn note(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let wrote = write(cx);
        self.blocked.set(wrote.is_pending());
        if let Poll::Ready(Ok(count)) = &wrote {
            self.written.set(self.written.get() + *count as u64);
        }
        wrote
    }

    /// Returns the number of bytes that the endpoint takes before the last of a stream that has
    /// handed over `sent_bytes`; 0 if it has them all. Costs a system call.
    ///
    /// An upper bound that shrinks with each byte taken: streams take turns, and the last byte of
    /// one is preceded by at most as many of each other stream as a stream may have waiting.
    pub(super) fn unsent(&self, sent_bytes: u64, streams: usize, mark: &Cell<Mark>) -> u32 {
        let queued = self.queue.and_then(SendQueue::unsent).unwrap_or(0);
        if sent_bytes == 0 || (queued == 0 && !self.blocked.get()) {
            return 0;
        }
        let written = self.written.get();
        if mark.get().sent_bytes != sent_bytes {
            let at = written + (streams * SEND_BUFFER) as u64;
            mark.set(Mark { sent_bytes, at });
        }
        let taken = written.saturating_sub(queued.into());
        let left = mark.get().at.saturating_sub(taken);
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(outgoing: &Outgoing, wrote: Poll<io::Result<usize>>) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = outgoing.note(&mut cx, |_| wrote);
    }

    #[test]
    fn a_stream_has_its_turn_while_the_others_move_and_no_longer() {
        let outgoing = Outgoing::new(None);
        let mark = Cell::default();
        write(&outgoing, Poll::Ready(Ok(1000)));
        assert_eq!(outgoing.unsent(500, 2, &mark), 0, "nothing waits");
        write(&outgoing, Poll::Pending);
        assert_eq!(outgoing.unsent(0, 2, &mark), 0, "nothing of it waits");
        let before = outgoing.unsent(500, 2, &mark);
        assert!(before > 0);
        assert_eq!(outgoing.unsent(500, 2, &mark), before, "nothing moves");
        write(&outgoing, Poll::Ready(Ok(100)));
        write(&outgoing, Poll::Pending);
        assert_eq!(outgoing.unsent(500, 2, &mark), before - 100);
        write(&outgoing, Poll::Ready(Ok(2 * SEND_BUFFER)));
        write(&outgoing, Poll::Pending);
        assert_eq!(outgoing.unsent(500, 2, &mark), 0, "only others wait");
    }
}
