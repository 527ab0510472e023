//! Bytes sent on a stream.
//!
//! Heads and small pieces are collected in one buffer, so that an ordinary message takes one call;
//! a large piece is not copied but written from its own memory, after the buffer.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use super::{
    super::{burst::Place, spare},
    Apart, Buffered,
};

impl Buffered {
    /// The buffer to append outgoing bytes to.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        if self.has_large {
            return self.more.get_or_insert_default().behind();
        }
        if self.write.capacity() == 0 {
            self.write = spare::take();
        }
        &mut self.write
    }

    /// Appends a piece and the `tail` that follows it: copied if small, else kept as it is.
    pub fn append(&mut self, piece: Bytes, tail: &'static [u8]) {
        if piece.len() <= COPY_MAX {
            let write = self.outgoing();
            write.extend_from_slice(&piece);
            write.extend_from_slice(tail);
            return;
        }
        if self.has_large {
            self.more.get_or_insert_default().push(piece);
        } else {
            self.large = piece;
            self.has_large = true;
        }
        if !tail.is_empty() {
            self.outgoing().extend_from_slice(tail);
        }
    }

    /// Returns true if more of one body should be appended: no large piece waits, and not too many
    /// small ones.
    pub fn can_append(&self) -> bool {
        !self.has_large && self.write.len() < WRITE_HIGH
    }

    /// Returns true if more of several bodies should be appended: not too many bytes wait.
    pub fn has_room(&self) -> bool {
        self.waiting() < WRITE_ROOM
    }

    /// Number of bytes appended and not handed to the socket yet.
    fn waiting(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| more.len());
        self.write.len() + self.large.len() + more
    }

    /// Number of bytes appended since the stream was wrapped.
    pub fn appended(&self) -> u64 {
        self.written + self.waiting() as u64
    }

    /// Returns true if everything appended has been handed to the socket.
    pub fn is_flushed(&self) -> bool {
        !self.held_back && !self.send_failed && self.is_handed_on()
    }

    fn is_handed_on(&self) -> bool {
        self.write.is_empty() && !self.has_large
    }

    /// Returns true if the appended bytes only wait for the end of the burst, to be sent along with
    /// those of others, with the task or without it.
    pub fn awaits_burst(&self) -> bool {
        self.place != Place::Free
    }

    /// Number of bytes that the socket has taken since the stream was wrapped.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Number of bytes that the socket has and the other side has not acknowledged. Costs a system
    /// call.
    pub fn unsent(&self) -> u32 {
        self.stream.unsent().unwrap_or(0)
    }

    /// Returns a number that grows with the bytes written and with those that the other side
    /// acknowledges. Costs a system call.
    pub fn progress(&self) -> u64 {
        (self.written * 2).saturating_sub(u64::from(self.unsent()))
    }

    /// Writes the appended bytes, in a burst with those of others if the thread is busy. Cancel
    /// safe: written bytes are removed from the buffers.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_handed_on() {
            ready!(self.place.poll_send(cx));
        }
        self.poll_send(cx)
    }

    /// Flushes as [`Self::poll_flush`], for a stream whose task waits for something else meanwhile:
    /// after [`Poll::Pending`] with [`Self::awaits_burst`] it is woken only if sending needs it
    /// again.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_flush_apart<T: Apart>(this: &Rc<T>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = this.io().borrow_mut();
        if io.send_failed
            && let Some(error) = io.failed.take()
        {
            io.send_failed = false;
            return Poll::Ready(Err(error));
        }
        if !io.is_handed_on() && io.place.leave(this, cx) {
            return Poll::Pending;
        }
        io.poll_send(cx)
    }

    /// Sends for the task of `waker`, which is woken if that fails or would block.
    pub(in crate::socket) fn send_apart(&mut self, waker: &Waker) {
        self.place.end();
        if let Poll::Ready(Err(error)) = self.poll_send(&mut Context::from_waker(waker)) {
            self.failed = Some(error);
            self.send_failed = true;
            waker.wake_by_ref();
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_handed_on() {
            let count = ready!(self.poll_write(cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held_back = self.stream.holds_back();
            self.written += count as u64;
            self.take_off(count);
        }
        if self.held_back {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.held_back = false;
        }
        spare::give_back(std::mem::take(&mut self.write));
        Poll::Ready(Ok(()))
    }

    /// Writes once.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        if !self.has_large && !self.last {
            return Pin::new(stream).poll_write(cx, &self.write);
        }
        let mut slices = SmallVec::<[IoSlice<'_>; SLICES_MAX]>::new();
        slices.extend([IoSlice::new(&self.write), IoSlice::new(&self.large)]);
        let more = self.more.iter().flat_map(|more| more.slices());
        slices.extend(more.take(SLICES_MAX - slices.len()));
        if self.last {
            stream.poll_write_last(cx, &slices)
        } else {
            Pin::new(stream).poll_write_vectored(cx, &slices)
        }
    }

    /// Removes written bytes.
    fn take_off(&mut self, count: usize) {
        let small = count.min(self.write.len());
        if small == self.write.len() {
            // All of its memory is free again, not only what is behind.
            self.write.clear();
        } else {
            self.write.advance(small);
        }
        let mut left = count - small;
        while self.has_large {
            let large = left.min(self.large.len());
            self.large.advance(large);
            left -= large;
            if !self.large.is_empty() {
                return;
            }
            self.next_large();
        }
        // Of what stood behind the last large piece.
        self.write.advance(left);
    }

    /// Replaces the written large piece by the bytes after it.
    fn next_large(&mut self) {
        // Its memory is of no more use here, whoever else holds it.
        self.large = Bytes::new();
        if let Some(next) = self.more.as_mut().and_then(|more| more.pop()) {
            self.large = next;
            return;
        }
        self.has_large = false;
        if let Some(mut more) = self.more.take() {
            self.write.extend_from_slice(more.behind());
        }
    }

    /// Removes appended bytes that have not been handed to the socket.
    pub fn take_back(&mut self) {
        self.write.clear();
        self.large = Bytes::new();
        self.has_large = false;
        self.more = None;
    }

    /// Declares that all is appended, and that the end of our direction follows the flush at once:
    /// they leave in one packet if the stream can do that.
    pub fn end_follows(&mut self) {
        if !self.last {
            self.last = true;
            self.stream.hold_records();
        }
    }

    /// Ends our direction of the stream; the other side may still send.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Sends `close_notify` on a TLS session (RFC 8446 section 6.1), if that does not block. A
    /// plain stream needs nothing.
    pub fn say_goodbye(&mut self) {
        if self.stream.holds_back() {
            self.end();
        }
    }

    /// Ends our direction, if that does not block, before the stream is dropped. A plain drop would
    /// lose unsent bytes if unread bytes of the other side are left.
    pub fn end(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // Whether it arrives makes no difference to us.
        let _ = self.poll_shutdown(&mut cx);
    }
}

/// Maximum size of pieces that are copied after the head: one call is cheaper than two slices.
const COPY_MAX: usize = 8 * 1024;
const WRITE_HIGH: usize = 64 * 1024;
const WRITE_ROOM: usize = 128 * 1024;
/// Maximum number of pieces written in one call.
const SLICES_MAX: usize = 18;
