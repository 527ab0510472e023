//! Sending of a request on a stream.
//!
//! The task of the exchange drives it: nothing else reads the client's body, and the endpoint
//! always has a true prefix of it. If it is dropped before both directions have ended, it resets
//! the stream at once, with all bytes that still wait for room.

use std::{
    cell::Cell,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::{
    super::{Progress, Upload},
    driven::Driven,
    outgoing::Mark,
};
use crate::{failure::Failure, semantics::Frame};

/// A stream, reset if it is dropped before both directions have ended.
pub(super) struct OpenStream {
    pub(super) out: SendStream<Bytes>,
    /// All of our direction has been handed over.
    pub(super) sent_all: bool,
    /// All of the endpoint's direction has arrived.
    pub(super) received_all: bool,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if !(self.sent_all && self.received_all) {
            self.out.send_reset(Reason::CANCEL);
        }
    }
}

/// Remainder of a request, and the stream that takes it.
pub(super) struct Sender {
    stream: OpenStream,
    upload: Upload,
    /// Bytes taken from the upload that have no room yet.
    rest: Bytes,
    sent_bytes: u64,
    mark: Cell<Mark>,
    /// Nothing more of the upload is sent: the endpoint takes no more, though its answer may still
    /// arrive, or a tunnel follows the head.
    closed: bool,
}

impl Sender {
    /// `done` tells that the head has ended the request.
    pub(super) fn new(stream: SendStream<Bytes>, upload: Upload, done: bool) -> Self {
        Self {
            stream: OpenStream {
                out: stream,
                sent_all: done,
                received_all: false,
            },
            upload,
            rest: Bytes::new(),
            sent_bytes: 0,
            mark: Cell::default(),
            closed: false,
        }
    }

    /// Makes the sender of a request that a tunnel follows: the stream stays open after the head.
    pub(super) fn of_tunnel(stream: SendStream<Bytes>, upload: Upload) -> Self {
        Self {
            closed: true,
            ..Self::new(stream, upload, false)
        }
    }

    /// Hands over as much of the request as both sides allow now.
    ///
    /// # Errors
    /// The client's failure. If the endpoint takes no more, that shows in its answer alone.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while self.is_sending() {
            let went_on = if self.rest.is_empty() {
                self.poll_next(cx)?
            } else {
                self.poll_send(cx)
            };
            if went_on.is_pending() {
                break;
            }
        }
        Ok(())
    }

    /// Takes the next piece; an end needs no room, and is sent at once.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Failure> {
        let Poll::Ready(frame) = self.upload.poll_frame(cx) else {
            return Ok(Poll::Pending);
        };
        match frame.transpose()? {
            Some(Frame::Data(data)) if data.is_empty() => {}
            Some(Frame::Data(data)) => {
                self.stream.out.reserve_capacity(data.len());
                self.rest = data;
            }
            Some(Frame::Trailers(trailers)) => {
                self.closed = self.stream.out.send_trailers(trailers.to_map()).is_err();
                self.stream.sent_all = !self.closed;
            }
            None => {
                self.closed = self.stream.out.send_data(Bytes::new(), true).is_err();
                self.stream.sent_all = !self.closed;
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Sends as much as both windows, of the stream and of the connection, have room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = self.stream.out.capacity().min(self.rest.len());
        if room == 0 {
            return match self.stream.out.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => Poll::Ready(()),
                Poll::Ready(Some(Err(_)) | None) => {
                    self.closed = true;
                    Poll::Ready(())
                }
                Poll::Pending => Poll::Pending,
            };
        }
        let piece = self.rest.split_to(room);
        let last = self.rest.is_empty() && self.upload.is_ended();
        self.closed = self.stream.out.send_data(piece, last).is_err();
        self.stream.sent_all = last && !self.closed;
        self.sent_bytes += room as u64;
        Poll::Ready(())
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            sent: !self.is_sending(),
            moved: self.upload.moved() + self.sent_bytes,
            awaited: self.rest.is_empty() && self.upload.is_awaited(),
        }
    }

    /// Number of bytes handed over that the endpoint has not acknowledged. Costs a system call.
    pub(super) fn unsent(&self, driven: &Driven) -> u32 {
        let streams = driven.streams();
        let outgoing = &driven.outgoing;
        outgoing.unsent(self.sent_bytes, streams, &self.mark)
    }

    /// Returns true if all of the request has been handed over.
    pub(super) fn is_done(&self) -> bool {
        self.stream.sent_all
    }

    /// Returns true if reading the answer may still read the request.
    pub(super) fn is_sending(&self) -> bool {
        !self.stream.sent_all && !self.closed
    }

    /// Notes an answer: the stream is held for it and no longer for the request.
    pub(super) fn leave_place(&mut self) {
        self.upload.leave_place();
    }

    /// Drops the rest of the body if the endpoint takes no more: its client may be told that it is
    /// not read.
    pub(super) fn let_go_of_unwanted(&mut self) {
        if self.closed && !self.stream.sent_all {
            self.upload = Upload::gone();
        }
    }

    /// Takes the upload back for another attempt.
    pub(super) fn take_upload(&mut self) -> Upload {
        std::mem::replace(&mut self.upload, Upload::gone())
    }

    /// Returns the stream alone, for a tunnel that ends it by itself.
    pub(super) fn into_stream(self) -> OpenStream {
        self.stream
    }

    /// Notes the end of the answer.
    pub(super) fn end_answer(&mut self) {
        self.stream.received_all = true;
    }
}
