//! Bytes received on a stream.
//!
//! Reads grow with the traffic: from 16 KiB, enough for a head with a small body, to 256 KiB for a
//! large body.

use std::{
    cell::Cell,
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, BytesMut};
use tokio::io::AsyncReadExt;

use super::Buffered;

impl Buffered {
    /// The bytes received and not consumed yet.
    pub fn received(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// Returns true if bytes have been received that nobody has consumed.
    pub fn has_received(&self) -> bool {
        !self.read.is_empty()
    }

    /// Returns true if the other side has ended its direction.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads once into the buffer; returns the number of bytes, 0 at the end of the stream.
    ///
    /// # Errors
    /// The error of the socket; the stream cannot be used any more.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let count = if self.read_size.min(self.read_limit) <= READ_MIN {
            ready!(self.poll_fill_small(cx))?
        } else {
            ready!(self.poll_fill_large(cx))?
        };
        if count == 0 {
            self.ended = true;
        }
        Poll::Ready(Ok(count))
    }

    /// Reads as [`Self::poll_fill`], but few bytes at once: for streams of whose bytes many pieces
    /// are kept, each of which keeps the whole read buffer.
    ///
    /// # Errors
    /// The error of the socket; the stream cannot be used any more.
    pub fn poll_fill_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read_size = READ_MIN;
        self.poll_fill(cx)
    }

    /// Limits the bytes per read; a small minimum stays. Bytes read ahead for a peer that takes
    /// nothing are kept for an unlimited time.
    pub fn limit_reads(&mut self, bytes: usize) {
        self.read_limit = u32::try_from(bytes).unwrap_or(READ_MAX);
    }

    /// Reads into memory that the connections of this thread share, and keeps only the bytes
    /// received: a waiting connection has no buffer, and the shared one is warm in the cache.
    fn poll_fill_small(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Most often there is nothing: two polls of three only leave word whom to wake.
        ready!(self.stream.poll_read_ready(cx))?;
        let mut scratch = SCRATCH.take();
        scratch.reserve(READ_MIN as usize);
        // The future holds no state between polls: it is one try to read.
        let polled = pin!(self.stream.read_buf(&mut scratch)).poll(cx);
        let count = scratch.len();
        if count >= READ_MIN as usize {
            self.read_size = self.read_size.max(READ_MIN * 2);
        }
        if !self.read.is_empty() {
            self.read.extend_from_slice(&scratch);
            scratch.clear();
        } else if count > HAND_OVER {
            self.read = std::mem::take(&mut scratch);
        } else {
            // The last head may still hold what there was.
            self.read = BytesMut::from(&scratch[..]);
            scratch.clear();
        }
        SCRATCH.set(scratch);
        polled
    }

    /// Reads into the connection's own memory, with growing size while much arrives.
    fn poll_fill_large(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.is_empty() {
            // No memory for a connection that has nothing to say.
            ready!(self.stream.poll_read_ready(cx))?;
        }
        let size = self.read_size.min(self.read_limit) as usize;
        if !self.read.try_reclaim(size) {
            // To grow it would keep room for what has long been taken off its front.
            let mut larger = BytesMut::with_capacity(self.read.len() + size);
            larger.extend_from_slice(&self.read);
            self.read = larger;
        }
        let mut room = (&mut self.read).limit(size);
        let count = ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))?;
        if count >= size {
            self.read_size = (self.read_size * 2).min(READ_MAX);
            self.small_reads = 0;
        } else if count < size / 2 {
            self.small_reads += 1;
            if self.small_reads > 2 {
                self.read_size = (self.read_size / 2).max(READ_MIN);
                self.small_reads = 0;
            }
        } else {
            self.small_reads = 0;
        }
        Poll::Ready(Ok(count))
    }

    /// Returns true if it keeps empty memory for the next large body.
    pub fn keeps_memory(&self) -> bool {
        self.read_size > READ_MIN
    }

    /// Releases the memory of the last small read once all of it is consumed. An idle connection
    /// would keep it from reuse, and it would be cold in the cache later.
    pub fn release_spent(&mut self) {
        if self.read.is_empty() && !self.keeps_memory() {
            self.read = BytesMut::new();
        }
    }

    /// Releases the memory kept for the next large body; for idle connections.
    pub fn release_memory(&mut self) {
        if self.read.is_empty() {
            self.read = BytesMut::new();
            self.read_size = READ_MIN;
        }
    }
}

thread_local! {
    /// Buffer of small reads; empty while one is under way.
    static SCRATCH: Cell<BytesMut> = Cell::default();
}

pub(super) const READ_MIN: u32 = 16 * 1024;
/// Size above which bytes are not copied out of the shared buffer, but take it along.
const HAND_OVER: usize = 4 * 1024;
/// Maximum number of bytes left in memory for a client that stops reading.
pub(super) const READ_MAX: u32 = 256 * 1024;
