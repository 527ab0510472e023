//! Frames from streams: heads, bodies and trailers, as far as there is room.

use std::task::Poll;

use bytes::Buf;
use http::StatusCode;

use super::{
    session::Session,
    stream::{SharedStream, Stream},
};
use crate::{
    http2::{frame, frame::Kind, response},
    semantics::Headers,
};

impl Session {
    /// Appends the head of a response, or of an interim one.
    pub(crate) fn send_head(
        &mut self,
        stream: &Stream,
        status: StatusCode,
        headers: &Headers,
        length: Option<u64>,
        end: bool,
    ) {
        let mut block = std::mem::take(&mut self.fields);
        response::encode_head(&mut block, &mut self.encoder, status, headers, length, end);
        stream.answering.set(!status.is_informational());
        self.send_block(stream, block, end);
    }

    /// Appends as much of a body piece as there is room for; ready when all of it is appended.
    /// `end` tells that nothing follows.
    pub(crate) fn poll_send(
        &mut self,
        stream: &SharedStream,
        piece: &mut impl Buf,
        end: bool,
    ) -> Poll<()> {
        loop {
            let mut window = stream.window.get();
            let own = window.room();
            let length = piece.remaining().min(frame::PAYLOAD_MAX).min(own);
            let length = length.min(self.window.room());
            // The end alone is as short as a head, and needs no window.
            if piece.has_remaining() && (length == 0 || !self.io.has_room()) {
                if own > 0 && !stream.is_over() {
                    self.queue.push(stream);
                }
                // Whoever else waits may have been passed over for this one.
                self.notify();
                return Poll::Pending;
            }
            let last = length == piece.remaining();
            let flags = if end && last { frame::END_STREAM } else { 0 };
            frame::put_head(self.io.outgoing(), length, Kind::Data, flags, stream.id);
            self.io.append(piece.copy_to_bytes(length), b"");
            self.known += (frame::HEAD_BYTES + length) as u64;
            window.spend(length);
            stream.window.set(window);
            self.window.spend(length);
            self.last_data = self.io.appended();
            if last {
                self.sent(stream, end);
                return Poll::Ready(());
            }
        }
    }

    /// Returns a number that grows while a stream makes progress; `last` is the number of bytes
    /// appended up to its own last bytes. Costs a system call.
    ///
    /// While the stream waits for its turn, or its bytes are on their way, the connection must make
    /// progress; after that the client must make room on the stream. If it must make room on the
    /// connection, answers to its PINGs do not count as progress.
    pub(crate) fn progress_of(&self, stream: &Stream, wants: Wants, last: u64) -> u64 {
        let waits = wants == Wants::ToSend && stream.window.get().room() > 0;
        let taken = self.io.written().saturating_sub(self.io.unsent().into());
        let closed = self.window.room() == 0 && taken >= self.last_data;
        if taken < last || waits && !closed {
            self.io.progress()
        } else if waits {
            self.last_data
        } else {
            u64::MAX
        }
    }

    /// Appends trailers, which end the response.
    pub(crate) fn send_trailers(&mut self, stream: &Stream, trailers: &Headers) {
        let mut block = std::mem::take(&mut self.fields);
        response::encode_trailers(&mut block, &mut self.encoder, trailers);
        self.send_block(stream, block, true);
    }

    fn send_block(&mut self, stream: &Stream, mut block: Vec<u8>, end: bool) {
        frame::put_block(self.io.outgoing(), stream.id, end, &block);
        // What has grown large is not kept.
        if block.capacity() <= frame::PAYLOAD_MAX {
            block.clear();
            self.fields = block;
        }
        self.sent(stream, end);
    }

    fn sent(&mut self, stream: &Stream, end: bool) {
        if end {
            stream.local_ended.set(true);
            if stream.remote_ended.get() && !stream.faulty.get() {
                self.close(stream);
            }
        }
        self.notify();
    }

    /// Returns true if more may be read: there is room for the answers to it.
    ///
    /// Bodies stop if there is no room, whatever the client does. Heads and other short frames have
    /// room of their own, as the client may be one that reads only after its bytes were read.
    pub(crate) fn may_read(&mut self) -> bool {
        let appended = self.io.appended();
        if self.io.has_room() {
            self.known = appended;
            return true;
        }
        appended - self.known < ANSWERS_MAX
    }

    /// Wakes streams that wait for room, as far as there is some; returns true if more streams and
    /// more room are left.
    ///
    /// Woken streams may not need their room any more: call this again after they have run.
    pub(crate) fn wake_waiting(&mut self) -> bool {
        self.io.has_room() && self.window.room() > 0 && self.queue.wake()
    }
}

/// Reason for a stream's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// It has bytes to send.
    ToSend,
    /// It has none.
    Nothing,
}

/// Room for other than body frames, in bytes, when there is no room left.
const ANSWERS_MAX: u64 = 64 * 1024;
